"use strict";

// Words and tables of the page. Every number stands in an element with its name and, in data-value, with
// all its digits; text goes in as text, so that a name from the user's data stays a name.
const lawfulReadouts = (() => {
  const { count, scientific } = lawfulNumbers;
  const { nats, percent, short } = lawfulDraw;

  function dollars(value) {
    if (value >= 1e6) return `$${count(value)}`;
    return value >= 100 || value < 0.005 ? `$${Math.round(value).toLocaleString("en-US")}` : `$${value.toFixed(2)}`;
  }

  const share = (value) => percent(value).replace("+", "");

  // What rounding leaves of nothing is shown as nothing; data-value keeps it.
  const flops = (value, fraction) => (fraction < 1e-12 ? "0" : scientific(value));

  function element(tag, text, attributes = {}) {
    const made = document.createElement(tag);
    made.textContent = text;
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    return made;
  }

  // Text of a cell, or nothing where a method has no such number by its nature.
  function fillCell(cell, name, value, format) {
    if (value === undefined) return;
    const none = value === null || !Number.isFinite(value);
    const text = none ? "none" : format(value);
    if (cell.textContent !== text) cell.textContent = text;
    cell.dataset.name = name;
    cell.dataset.value = none ? "none" : String(value);
  }

  // The rows are made once and filled again at every move, which saves the browser most of the work.
  function fill(table, heads, rows) {
    const shape = JSON.stringify([heads, rows.map(([, name]) => name)]);
    if (table.dataset.shape !== shape) {
      table.dataset.shape = shape;
      const head = document.createElement("tr");
      head.append(...heads.map((text) => (text ? element("th", text, { scope: "col" }) : element("td", ""))));
      table.tHead.replaceChildren(head);
      table.tBodies[0].replaceChildren(...rows.map(([, , , ...values]) => {
        const row = document.createElement("tr");
        row.append(element("th", "", { scope: "row" }), ...values.map(() => element("td", "")));
        return row;
      }));
    }
    rows.forEach(([label, name, format, ...values], i) => {
      const [first, ...cells] = table.tBodies[0].rows[i].children;
      if (first.textContent !== label) first.textContent = label;
      values.forEach(([method, value], k) => fillCell(cells[k], `${method}.${name}`, value, format));
    });
  }

  const coefficientRows = (truth, found, methods) => ["alpha", "beta", "E (nats)", "A (nats)", "B (nats)"].map((label) => {
    const name = label.split(" ")[0];
    const gone = (name === "alpha" && found.A === 0) || (name === "beta" && found.B === 0);
    const values = { truth: truth[name], vpnls: gone ? null : found[name] };
    return [label, name, (v) => short(v, 5), ...methods.map((m) => [m, values[m]])];
  });

  function sweepTable(table, found) {
    const { target, approach2, vpnls, truth } = found;
    const [t, p, v] = [target.truth, target.approach2, target.vpnls];
    const three = (of) => [["truth", of(t)], ["approach2", p ? of(p) : null], ["vpnls", v ? of(v) : null]];
    const two = (of) => [["truth", undefined], ["approach2", p ? of(p) : null], ["vpnls", v ? of(v) : null]];
    const exponent = (name) => [
      ["truth", t[name]],
      ["approach2", approach2.frontier?.[name] ?? null],
      ["vpnls", vpnls.exponents?.[name] ?? null],
    ];
    const at = `at ${scientific(target.budget)} FLOPs`;
    fill(table, ["", "Truth", "Approach 2", "VPNLS"], [
      [`D* ${at} (tokens)`, "tokens", count, ...three((m) => m.tokens)],
      ["error of D*", "tokens_error", percent, ...two((m) => m.tokens_error)],
      [`N* ${at} (parameters)`, "params", count, ...three((m) => m.params)],
      ["error of N*", "params_error", percent, ...two((m) => m.params_error)],
      ["compute wasted (FLOPs)", "flops", (x) => flops(x, x / target.budget), ...two((m) => m.flops)],
      ["share of the budget", "fraction", share, ...two((m) => m.fraction)],
      ["dollars", "dollars", dollars, ...two((m) => m.dollars)],
      ["a: N* grows as C^a", "a", (x) => short(x, 4), ...exponent("a")],
      ["b: D* grows as C^b", "b", (x) => short(x, 4), ...exponent("b")],
      ...coefficientRows(truth, vpnls.surface, ["truth", "approach2", "vpnls"]),
    ]);
  }

  function toyTable(table, found) {
    const { target, vpnls, truth } = found;
    fill(table, ["", "Truth", "VPNLS"], [
      [`loss at N = ${count(target.params)} (nats)`, "loss", (v) => v.toFixed(4),
        ["truth", target.truth.loss], ["vpnls", target.vpnls.loss]],
      ["error of the forecast (nats)", "error", signed, ["truth", undefined], ["vpnls", target.vpnls.error]],
      ["a: N* grows as C^a", "a", (x) => short(x, 4), ["truth", target.truth.a], ["vpnls", vpnls.exponents?.a ?? null]],
      ...coefficientRows(truth, vpnls.surface, ["truth", "vpnls"]),
    ]);
  }

  function ownTable(table, found, cost) {
    const { target } = found;
    const names = ["approach2", "vpnls", "coupled"];
    const row = (of) => names.map((name) => [name, target[name] ? of(target[name]) : null]);
    const law = (name) => [["approach2", undefined], ...["vpnls", "coupled"].map((m) => [m, found[m].surface?.[name]])];
    const at = `at ${scientific(target.budget)} FLOPs`;
    const price = (m) => (m.flops === null ? null : m.flops * cost.dollars_per_flop);
    fill(table, ["", "Approach 2", "VPNLS", "Coupled law"], [
      [`N* ${at} (parameters)`, "params", count, ...row((m) => m.params)],
      [`D* ${at} (tokens)`, "tokens", count, ...row((m) => m.tokens)],
      ["tokens per parameter", "ratio", (x) => short(x, 3), ...row((m) => m.ratio)],
      ["loss there (nats), of Approach 2's choice by VPNLS's law", "loss", (x) => short(x, 4), ...row((m) => m.loss)],
      ["compute that choice loses if VPNLS's law holds", "fraction", share, ...row((m) => m.fraction)],
      ["the same in dollars", "dollars", dollars, ...row(price)],
      ["a: N* grows as C^a", "a", (x) => short(x, 4), ["approach2", found.approach2.frontier?.a ?? null],
        ...["vpnls", "coupled"].map((m) => [m, found[m].whole ? lawfulMath.exponents(found[m].surface).a : null])],
      ...["E", "A", "B", "alpha", "beta"].map((name) => [name, name, (x) => short(x, 5), ...law(name)]),
      ["k", "k", (x) => short(x, 5), ["approach2", undefined], ["vpnls", undefined], ["coupled", found.coupled.surface?.k]],
      ["root mean square residual (nats)", "rms", (x) => short(x, 3), ["approach2", undefined],
        ...["vpnls", "coupled"].map((m) => [m, found[m].surface ? Math.sqrt(found[m].squares / found.runs.length) : null])],
    ]);
  }

  const signed = (value) => `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(4)}`;

  // The runs behind the figures, for those who cannot hover.
  function runsTable(table, found) {
    const rows = (found.all ?? found.runs ?? []).map((run) => {
      const row = document.createElement("tr");
      row.append(
        ...[scientific(run.budget), count(run.params), count(run.tokens), run.loss.toFixed(5)].map((text) => element("td", text)),
      );
      return row;
    });
    table.tBodies[0].replaceChildren(...rows);
  }

  // The headline in one sentence, and the cards beside it.
  function headline(found) {
    if (found.failure) return found.failure;
    if (found.design === "own") return found.headline;
    if (found.design === "toy") {
      const { params, truth, vpnls } = found.target;
      return `Fitted on ${found.runs.length} runs, VPNLS forecasts ${nats(vpnls.loss)} at ${count(params)} parameters; ` +
        `the truth is ${nats(truth.loss)}, so the forecast is ${signed(vpnls.error)} nats off.`;
    }
    const { budget, truth, approach2, vpnls } = found.target;
    const words = [];
    if (approach2) {
      const far = Math.abs(approach2.tokens_error) < 5e-4 ? "which is right" :
        `${share(Math.abs(approach2.tokens_error))} too ${approach2.tokens_error > 0 ? "many" : "few"}`;
      words.push(`At ${scientific(budget)} FLOPs Approach 2 trains on ${count(approach2.tokens)} tokens, ${far}, and wastes ` +
        `${share(approach2.fraction)} of the budget (${dollars(approach2.dollars)}).`);
    } else {
      words.push(`At ${scientific(budget)} FLOPs Approach 2 has no answer.`);
    }
    words.push(vpnls ? `VPNLS: ${count(vpnls.tokens)} tokens, ${percent(vpnls.tokens_error)}.` : "VPNLS has no answer.");
    words.push(`The truth: ${count(truth.tokens)}.`);
    return words.join(" ");
  }

  function ownCards(found) {
    const { vpnls, approach2, coupled } = found.target;
    const one = (name, tone, m) => ({
      name, tone, value: m ? count(m.params) : "none",
      unit: m ? `parameters, ${count(m.tokens)} tokens, ${short(m.ratio, 2)} per parameter` : "no optimum",
    });
    return [one("VPNLS", "vpnls", vpnls), one("Coupled law", "coupled", coupled), one("Approach 2", "approach2", approach2)];
  }

  function cards(found) {
    if (found.failure) return [];
    if (found.design === "own") return ownCards(found);
    if (found.design === "toy") {
      return [
        { name: "Error of the forecast", tone: "vpnls", value: signed(found.target.vpnls.error), unit: "nats" },
        { name: "Forecast", tone: "vpnls", value: found.target.vpnls.loss.toFixed(4),
          unit: `nats; truth ${found.target.truth.loss.toFixed(4)}` },
      ];
    }
    const { approach2, vpnls } = found.target;
    const no = { value: "none", unit: "no optimum" };
    const wasted = (m) => `${flops(m.flops, m.fraction)} FLOPs, ${dollars(m.dollars)}`;
    return [["Approach 2", "approach2", approach2], ["VPNLS", "vpnls", vpnls]].flatMap(([name, tone, m]) => [
      { name: `${name}: error of D*`, tone,
        ...(m ? { value: percent(m.tokens_error), unit: `${count(m.tokens)} tokens` } : no) },
      { name: `${name}: compute wasted`, tone, ...(m ? { value: share(m.fraction), unit: wasted(m) } : no) },
    ]);
  }

  function showCards(parent, found) {
    parent.replaceChildren(...cards(found).map(({ name, tone, value, unit }) => {
      const card = element("div", "", { class: `card ${tone}` });
      card.append(element("span", name), element("strong", value), element("span", unit));
      return card;
    }));
  }

  function troubles(found) {
    if (found.failure) return [];
    if (found.troubles) return found.troubles;
    return [found.approach2?.trouble, found.vpnls.trouble].filter(Boolean);
  }

  function show(parts, found, cost) {
    const words = headline(found);
    parts.headline.textContent = words;
    showCards(parts.cards, found);
    parts.troubles.replaceChildren(...troubles(found).map((text) => element("p", text)));
    parts.numbers.hidden = Boolean(found.failure);
    if (found.failure) return words;
    ({ toy: toyTable, own: ownTable, sweep: sweepTable })[found.design](parts.table, found, cost);
    if (parts.details.open && found.design !== "own") runsTable(parts.runs, found);
    return words;
  }

  return { dollars, element, runsTable, show };
})();
