"use strict";

// Runs of the user's own, as lawful.data reads them: CSV text to N, D, C and loss, and the budgets that runs form. What
// the page cannot read it refuses in a sentence; lines that it leaves out it names.
const lawfulTable = (() => {
  const { scientific } = lawfulNumbers;

  const QUANTITIES = ["params", "tokens", "loss", "budget"];
  const FLOPS = 6;
  const TOLERANCE = 0.1;
  const SAME = 1e-9;
  const NOMINAL = 0.5;
  const HEAP_WIDTH = 0.5;
  const HEAP_GAP = 2;
  const LARGEST_LOSS = Math.log(1e6);
  const LEAST_COUNT = 1e4;
  const MOST_VALUES = 50;
  const MOST_BYTES = 20e6;
  const OTHER_PATHS = new Set(["eval", "val", "valid", "validation", "test", "vocab", "tokenizer", "batch", "plan", "planned"]);
  const ENDINGS = new Set(["state", "status", "run.state", "job_status", "diverged", "completed", "exit_code", "failed"]);
  const ELSEWHERE = "`lawful explore runs.csv` reads other names, units and files";

  /** A sentence about a table that is no table of runs. */
  class Refused extends Error {}

  const normalise = (name) => name.trim().replace(/^[# ]+/, "").toLowerCase().replace(/[ -]/g, "_");

  // Cells of comma-, semicolon- or tab-separated text; quotes as in RFC 4180.
  function cells(text) {
    const body = text.replace(/^\uFEFF/, "").replace(/^(?:\s*\r?\n|#[^\n,;\t]*\n)+/, "");
    const head = body.slice(0, body.search(/\r?\n|$/)).replace(/"[^"]*"/g, "");
    const mark = ["\t", ";", ","].reduce((a, b) => (head.split(b).length > head.split(a).length ? b : a));
    const rows = [];
    let row = [];
    let cell = "";
    let quoted = false;
    const end = () => { row.push(cell); cell = ""; };
    const close = () => {
      end();
      if (row.some((c) => c.trim() !== "")) rows.push(row);
      row = [];
    };
    for (let i = 0; i < body.length; i += 1) {
      const sign = body[i];
      if (quoted) {
        if (sign !== '"') cell += sign;
        else if (body[i + 1] === '"') { cell += '"'; i += 1; } else quoted = false;
      } else if (sign === '"' && cell.trim() === "") { quoted = true; cell = ""; } else if (sign === mark) end();
      else if (sign === "\n") close();
      else if (sign !== "\r") cell += sign;
    }
    if (cell !== "" || row.length) close();
    return rows;
  }

  const toNumber = (text) => {
    const plain = (text ?? "").trim();
    return /^[-+]?(\d[\d_]*\.?\d*|\.\d+)(e[-+]?\d+)?$/i.test(plain) ? Number(plain.replace(/_/g, "")) : NaN;
  };

  function endsIn(title, quantity, known) {
    const path = title.split(/[./]/).map(normalise);
    if (path.length < 2) return false;
    if (quantity === "loss") return known.has(path.slice(-2).join("/"));
    const last = path.at(-1);
    return known.has(last) && last.length > 1 && !path.some((part) => OTHER_PATHS.has(part));
  }

  // Which column is which quantity, by the names that the package knows.
  function recognise(titles, numeric, names) {
    const found = {};
    for (const quantity of QUANTITIES) {
      const [known, also] = [new Set(names.accepted[quantity].map(normalise)), new Set(names.also[quantity])];
      const tests = [
        (title) => known.has(normalise(title)),
        (title, i) => numeric[i] && also.has(normalise(title)),
        (title, i) => numeric[i] && endsIn(title, quantity, known),
      ];
      const hits = tests.reduce((at, test) => (at.length ? at : [...titles.keys()].filter((i) => test(titles[i], i))), []);
      if (hits.length > 1) {
        const said = hits.map((i) => `“${titles[i]}”`).join(" and ");
        throw new Refused(`Columns ${said} may each be the ${quantity}; keep one of them, or name it with --columns: ${ELSEWHERE}.`);
      }
      if (hits.length) [found[quantity]] = hits;
    }
    const lacking = QUANTITIES.filter((quantity) => !(quantity in found));
    if (!("loss" in found) || lacking.length > 1) {
      const first = lacking.includes("loss") ? "loss" : lacking[0];
      throw new Refused(`The table has no column that is the ${first} by its name; its columns are ${titles.slice(0, 20).join(", ")}. ` +
        `Name it ${names.accepted[first].slice(0, 3).join(", ")} or the like: ${ELSEWHERE}.`);
    }
    return found;
  }

  // The first column that tells experiments apart by its name and varies, with its values.
  function experimentsOf(titles, rows, used, names) {
    for (const name of names.experiments) {
      const at = titles.findIndex((title, i) => !used.includes(i) && normalise(title) === name);
      if (at < 0) continue;
      const values = [...new Set(rows.map((row) => (row[at] ?? "").trim()))];
      if (values.length > 1 && values.length <= MOST_VALUES) return { title: titles[at], at, values };
    }
    return null;
  }

  function require(runs, titles, found) {
    for (const quantity of ["params", "tokens"]) {
      const values = runs.map((run) => run[quantity]).sort((a, b) => a - b);
      const middle = values[Math.floor(values.length / 2)];
      if (middle < LEAST_COUNT) {
        const given = quantity in found ? `column “${titles[found[quantity]]}”` : `${quantity} by C = 6ND`;
        throw new Refused(`The ${quantity} (${given}) lie between ${scientific(values[0])} and ${scientific(values.at(-1))}, ` +
          `which no run has: a unit is missing? Give plain counts: ${ELSEWHERE}.`);
      }
    }
    const most = runs.reduce((high, run) => Math.max(high, run.loss), 0);
    if (most > LARGEST_LOSS) {
      throw new Refused(`The loss reaches ${scientific(most)}, and no loss in nats is above ${LARGEST_LOSS.toFixed(2)}, ` +
        "the log of a million words: perplexity? Give its logarithm.");
    }
  }

  /**
   * Runs of a table; throws Refused with a sentence.
   * @param {string} text
   * @param {any} names
   */
  function read(text, names) {
    if (text.length > MOST_BYTES) throw new Refused(`The page takes tables of up to 20 MB; ${ELSEWHERE}.`);
    const [header, ...rows] = cells(text);
    if (!header || !rows.length) throw new Refused("The file holds no table: a line of names and at least one line of numbers are needed.");
    const titles = header.map((title, i) => title.trim() || `column_${i + 1}`);
    const numeric = titles.map((_, i) => rows.some((row) => Number.isFinite(toNumber(row[i]))));
    const found = recognise(titles, numeric, names);
    const used = Object.values(found);
    const notes = [];
    const runs = [];
    const gone = [];
    rows.forEach((row, i) => {
      const at = (quantity) => (quantity in found ? toNumber(row[found[quantity]]) : NaN);
      let [params, tokens, budget] = [at("params"), at("tokens"), at("budget")];
      if (!("budget" in found)) budget = FLOPS * params * tokens;
      if (!("tokens" in found)) tokens = budget / (FLOPS * params);
      if (!("params" in found)) params = budget / (FLOPS * tokens);
      const loss = at("loss");
      const good = [params, tokens, budget, loss].every((v) => Number.isFinite(v) && v > 0);
      if (good) runs.push({ row: i + 1, params, tokens, budget, loss, cells: row });
      else gone.push({ row: i + 1, cells: row });
    });
    if (!runs.length) throw new Refused("No line of the table has a positive number for all of N, D and the loss.");
    if (gone.length) {
      notes.push(`${gone.length} of ${rows.length} lines have no positive number for all of N, D and the loss, and are left out: ` +
        `row ${ranges(gone.map((line) => line.row))}.`);
    }
    const taken = QUANTITIES.filter((q) => q in found).map((q) => `${q} from “${titles[found[q]]}”`);
    notes.push(`Read ${taken.join(", ")}; what is missing follows from C = 6ND.`);
    const losses = new Set([...names.accepted.loss.map(normalise), ...names.also.loss]);
    const others = titles.filter((title, i) => i !== found.loss && numeric[i] && losses.has(normalise(title)));
    if (others.length) notes.push(`Another column may be the loss: “${others.join("”, “")}”.`);
    const endings = titles.filter((title, i) => !used.includes(i) && ENDINGS.has(normalise(title)));
    if (endings.length) notes.push(`Column “${endings[0]}” was not read here; \`lawful explore\` sets failed runs aside by it.`);
    require(runs, titles, found);
    const experiments = experimentsOf(titles, runs.map((run) => run.cells), used, names);
    return { titles, runs, gone, named: "budget" in found, notes, experiments };
  }

  // Row numbers as `--drop` takes them: 3,17-19.
  function ranges(rows) {
    const parts = [];
    for (const row of [...rows].sort((a, b) => a - b)) {
      const last = parts.at(-1);
      if (last && row === last[1] + 1) last[1] = row;
      else parts.push([row, row]);
    }
    return parts.map(([a, b]) => (a === b ? `${a}` : `${a}-${b}`)).join(",");
  }

  /**
   * The rows that such a text names, null where it is none.
   * @returns {number[] | null}
   */
  function rowsOf(text) {
    if (text === "") return [];
    if (!/^\d{1,7}(-\d{1,7})?(,\d{1,7}(-\d{1,7})?)*$/.test(text)) return null;
    const rows = [];
    for (const part of text.split(",")) {
      const [low, high = low] = part.split("-").map(Number);
      if (high < low || high - low > 1e5) return null;
      for (let row = low; row <= high; row += 1) rows.push(row);
    }
    return rows;
  }

  const ascending = (values) => [...values.keys()].sort((i, j) => values[i] - values[j] || i - j);

  // First places of clusters of ascending values, which gaps part.
  const startsOf = (logs, gap) => [...logs.keys()].filter((i) => i === 0 || logs[i] - logs[i - 1] > gap);

  // Where runs stand in heaps far narrower than the gaps between them, the heaps are the budgets
  // (lawful.data.runs.heaps, which says why).
  function heaps(logs) {
    const firsts = startsOf(logs, SAME);
    const values = firsts.map((i) => logs[i]);
    const gaps = values.slice(1).map((v, i) => v - values[i]);
    const widest = ascending(gaps).reverse();
    const narrowest = (cuts) => {
      const starts = [0, ...widest.slice(0, cuts).map((i) => i + 1).sort((a, b) => a - b)];
      const width = starts.reduce((most, start, i) => Math.max(most, values[(starts[i + 1] ?? values.length) - 1] - values[start]), SAME);
      return { width, starts };
    };
    let best = HEAP_GAP;
    let found = [];
    const look = [[1, Math.max(Math.floor(values.length / 3), 1) - 1]];
    while (look.length) {
      const [low, high] = look.pop();
      if (low > high) continue;
      const least = narrowest(high).width;
      if (gaps[widest[low - 1]] < best * least || least > HEAP_WIDTH) continue;
      if (low === high) {
        const { width, starts } = narrowest(low);
        best = gaps[widest[low - 1]] / width;
        found = starts.map((i) => firsts[i]);
        continue;
      }
      const middle = Math.floor((low + high) / 2);
      look.push([middle + 1, high], [low, middle]);
    }
    return found;
  }

  function labelled(order, starts) {
    const group = new Array(order.length);
    starts.forEach((start, g) => {
      for (let i = start; i < (starts[g + 1] ?? order.length); i += 1) group[order[i]] = g;
    });
    return group;
  }

  function near(compute) {
    const order = ascending(compute);
    const logs = order.map((i) => Math.log(compute[i]));
    const step = Math.log1p(TOLERANCE) * (1 + 1e-12);
    const starts = heaps(logs);
    const firsts = starts.length ? [] : startsOf(logs, step);
    firsts.forEach((first, c) => {
      const last = firsts[c + 1] ?? logs.length;
      starts.push(first);
      if (logs[last - 1] - logs[first] <= 2 * step) return;
      for (;;) {
        const from = logs[starts.at(-1)] + step;
        let cut = starts.at(-1);
        while (cut < last && logs[cut] <= from) cut += 1;
        if (cut >= last) return;
        starts.push(cut);
      }
    });
    const budgets = starts.map((start, g) => {
      const end = starts[g + 1] ?? logs.length;
      return Math.exp(logs.slice(start, end).reduce((a, b) => a + b, 0) / (end - start));
    });
    return { group: labelled(order, starts), budgets };
  }

  function distinct(compute, params) {
    const order = ascending(compute);
    const logs = order.map((i) => Math.log(compute[i]));
    const starts = startsOf(logs, SAME);
    const group = labelled(order, starts);
    const sizes = starts.map((start, g) => (starts[g + 1] ?? order.length) - start);
    const kinds = starts.map(() => new Set());
    group.forEach((g, i) => kinds[g].add(params[i]));
    const share = (counts) => sizes.reduce((sum, size, g) => sum + (counts[g] > 1 ? size : 0), 0) / compute.length;
    return {
      group, budgets: starts.map((start) => compute[order[start]]), shared: share(sizes), across: share(kinds.map((k) => k.size)),
    };
  }

  /** Budgets that runs form, and the group of each; named: whether the table has a column of compute. */
  function budgetsOf(runs, named) {
    const [compute, params] = [runs.map((run) => run.budget), runs.map((run) => run.params)];
    const close = near(compute);
    if (!named) return close;
    const exact = distinct(compute, params);
    const logs = close.budgets.map(Math.log);
    const least = logs.slice(1).reduce((low, v, i) => Math.min(low, v - logs[i]), Infinity);
    const far = least > 3 * TOLERANCE && close.budgets.length < exact.budgets.length;
    return (far ? exact.across : exact.shared) >= NOMINAL ? { group: exact.group, budgets: exact.budgets } : close;
  }

  /** Runs as CSV, in plain counts and with every digit; compute where the table had its own, which says the budgets. */
  function csv(runs, named) {
    const names = ["row", "params", "tokens", ...(named ? ["budget"] : []), "loss"];
    return [names.join(","), ...runs.map((run) => names.map((name) => String(run[name])).join(","))].join("\n") + "\n";
  }

  /** A word as a shell takes it. */
  const shell = (word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replace(/'/g, "'\\''")}'`);

  return { Refused, budgetsOf, csv, ranges, read, rowsOf, shell };
})();
