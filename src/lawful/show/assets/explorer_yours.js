"use strict";

// A table of the user's own on the page: taken from a file or a drop, shown run by run, and given back as a command or as
// CSV. Nothing leaves the page.
const lawfulYours = (() => {
  const { count, scientific } = lawfulNumbers;
  const { element } = lawfulReadouts;
  /** @type {(id: string) => any} */
  const byId = (id) => document.getElementById(id);

  /** What the page was given when it was written, as a dropped table is, or null. */
  function embedded(own) {
    if (!own) return null;
    const { row, params, tokens, budget, loss, flag } = own.runs;
    const runs = row.map((r, i) => ({
      row: r, params: params[i], tokens: tokens[i], budget: budget[i], loss: loss[i], flag: flag[i], cells: [],
    }));
    return { ...own, runs, gone: [], experiments: null };
  }

  async function take(file, names) {
    const told = lawfulTable.read(await file.text(), names);
    return { ...told, source: file.name, arguments: null, report: null };
  }

  /** Rows with a box each, which the keyboard reaches; the state of the boxes follows the page's. */
  function list(found, toggle) {
    const body = byId("own-table").tBodies[0];
    const wanted = JSON.stringify(found.all.map((run) => run.row));
    if (body.dataset.rows !== wanted) {
      body.dataset.rows = wanted;
      body.replaceChildren(...found.all.map((run) => {
        const line = document.createElement("tr");
        const box = element("input", "", { type: "checkbox", "aria-label": `keep row ${run.row}` });
        box.addEventListener("change", () => toggle([run.row]));
        const first = document.createElement("td");
        first.append(box);
        const texts = [String(run.row), scientific(run.budget), count(run.params), count(run.tokens), run.loss.toFixed(4), run.flag || ""];
        line.append(first, ...texts.map((text) => element("td", text)));
        return line;
      }));
    }
    [...body.rows].forEach((line, i) => { line.cells[0].firstChild.checked = !found.gone.has(found.all[i].row); });
  }

  const kept = (found) => `${found.kept.length} of ${found.all.length} runs kept`;

  /** What stands beside the controls: counts, notes, experiments, the command. */
  function show(table, found, settings) {
    const has = table !== null;
    byId("own-tools").hidden = !has;
    byId("own-count").textContent = has ? `${table.source.replace(/^.*[/\\]/, "")}: ${found.kept ? kept(found) : "no runs"}` : "";
    byId("own-notes").replaceChildren(...(table?.notes ?? []).map((text) => element("li", text)));
    const only = byId("only");
    const offered = JSON.stringify(table?.experiments ?? null);
    if (only.dataset.offered !== offered) {
      only.dataset.offered = offered;
      const values = table?.experiments?.values ?? [];
      only.replaceChildren(element("option", "all of them", { value: "" }), ...values.map((v) => element("option", v || "(empty)", { value: v })));
      byId("only-choice").hidden = !values.length;
      byId("only-label").textContent = table?.experiments ? `Only where ${table.experiments.title} is` : "";
    }
    only.value = settings.only;
    byId("own-command").textContent = has && found.kept ? lawfulOwn.command(table, found, settings) : "";
    byId("flagged").hidden = !(table?.runs ?? []).some((run) => run.flag);
  }

  /** The report's own answer, which holds for all runs at its budget: said so where the page has moved on. */
  function report(table, found, settings) {
    const told = settings.design === "own" ? table?.report : null;
    byId("report").hidden = !told;
    if (!told) return;
    const same = found.gone?.size === 0 && settings.target === told.budget;
    byId("report").classList.toggle("past", !same);
    byId("report-of").textContent = same ? told.asked : `${told.asked}: all ${table.runs.length} runs, as the report has them. Below: what is kept now.`;
  }

  /** Save the runs that are kept under the name that the command beside it takes. */
  function save(found, named, name) {
    const link = element("a", "", { download: name, href: URL.createObjectURL(new Blob([lawfulTable.csv(found.kept, named)], { type: "text/csv" })) });
    document.body.append(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  }

  return { embedded, list, report, save, show, take };
})();
