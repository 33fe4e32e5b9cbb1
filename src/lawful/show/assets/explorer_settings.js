"use strict";

// The settings of the page: where a value stands on its slider, which values there are, and how an address says them.
const lawfulSettings = (page, controls) => {
  const CHOICES = {
    design: ["sweep", "toy", "own"], region: Object.keys(page.toy.regions), gpu: Object.keys(page.hardware),
  };
  const STEPS = 1000;

  // Where a value stands on its slider, from 0 to STEPS, and back.
  function toSlider({ low, high, scale }, value) {
    if (scale === "whole") return value;
    if (scale === "log") return (STEPS * Math.log(value / low)) / Math.log(high / low);
    const part = (value - low) / (high - low);
    return STEPS * (scale === "square" ? Math.sqrt(part) : part);
  }

  // Sliders give round numbers: three significant digits, or what a step is worth.
  function fromSlider({ low, high, scale }, position) {
    if (scale === "whole") return Number(position);
    const part = position / STEPS;
    if (position <= 0) return low;
    if (position >= STEPS) return high;
    if (scale === "log") return Number((low * (high / low) ** part).toPrecision(3));
    const value = low + (high - low) * (scale === "square" ? part * part : part);
    return Number(value.toPrecision(3));
  }

  const admitted = ({ low, high, scale }, value) =>
    Math.min(Math.max(scale === "whole" ? Math.round(value) : value, low), high);

  const display = (value) => {
    const text = String(Number(value.toPrecision(6)));
    return Math.abs(value) >= 1e5 ? Number(value.toPrecision(6)).toExponential().replace("e+", "e") : text;
  };

  const OF_TABLE = new Set(["out", "only"]);

  // What is wrong with a setting, in a sentence, or null; inherited names of objects are no settings.
  function wrong(name, value) {
    if (OF_TABLE.has(name)) {
      const rows = name === "out" ? lawfulTable.rowsOf(String(value)) : [];
      return rows === null ? `${name}=${value} names no rows` : null;
    }
    if (Object.hasOwn(CHOICES, name)) return CHOICES[name].includes(value) ? null : `${name}=${value} is none of ${CHOICES[name].join(", ")}`;
    const control = controls.get(name);
    if (!control) return `${name} is no setting`;
    const number = value === "" ? NaN : Number(value);
    if (!Number.isFinite(number)) return `${name}=${value} is no number`;
    return number === admitted(control, number) ? null : `${name}=${value} lies outside ${display(control.low)} to ${display(control.high)}`;
  }

  /** Take settings: what is wrong is left out and told, numbers outside a range move to its end. */
  function checked(settings, told = []) {
    const taken = {};
    for (const [name, value] of settings instanceof URLSearchParams ? settings : Object.entries(settings)) {
      const trouble = wrong(name, value);
      if (trouble) told.push(trouble);
      const control = controls.get(name);
      if (control && value !== "" && Number.isFinite(Number(value))) taken[name] = admitted(control, Number(value));
      else if (!control && !trouble) taken[name] = String(value);
    }
    return taken;
  }

  const addressOf = (settings) =>
    new URLSearchParams(Object.entries(settings).map(([name, value]) => [name, String(value)])).toString();

  return { CHOICES, addressOf, admitted, checked, display, fromSlider, toSlider };
};
