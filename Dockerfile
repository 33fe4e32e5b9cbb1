# docker build -t lawful . && docker run --rm -v "$PWD:/work" --user "$(id -u):$(id -g)" lawful fit runs.csv --out result
FROM python:3.12-slim AS build
WORKDIR /source
COPY pyproject.toml README.md LICENSE ./
COPY src src
RUN python -m venv /lawful && /lawful/bin/python -m pip install --no-cache-dir '.[parquet,excel]'

FROM python:3.12-slim
COPY --from=build /lawful /lawful
RUN useradd --create-home --uid 10001 lawful && mkdir /work && chown lawful /work
# Whoever runs it may have no home of their own: what is cached goes where everybody may write.
ENV PATH=/lawful/bin:$PATH MPLCONFIGDIR=/tmp/matplotlib XDG_CACHE_HOME=/tmp/cache PYTHONDONTWRITEBYTECODE=1
USER lawful
WORKDIR /work
ENTRYPOINT ["lawful"]
CMD ["--help"]
