"use strict";

// Numbers as the text of a page writes them: the twin of lawful.core.numbers, which a test holds it to.
const lawfulNumbers = (() => {
  const MISSING = "n/a";
  /** @type {[number, string][]} */
  const SUFFIXES = [[1e12, "T"], [1e9, "B"], [1e6, "M"], [1e3, "K"]];

  const trimmed = (text) => (text.includes(".") ? text.replace(/\.?0+$/, "") : text);

  // Mantissa and power of ten. JavaScript rounds a tie away from zero and Python to even; a double that is a
  // tie ends right there, so thirty more digits tell.
  function parts(value, digits) {
    let [mantissa, exponent] = value.toExponential(digits - 1).split("e");
    const [exact, own] = value.toExponential(digits + 30).split("e");
    const end = exact.length - 31;
    const tie = /^50*$/.test(exact.slice(end));
    if (tie && /[13579]$/.test(mantissa)) [mantissa, exponent] = [exact.slice(0, end).replace(/\.$/, ""), own];
    return { mantissa, exponent: Number(exponent) };
  }

  function scientific(value, digits = 3) {
    if (!Number.isFinite(value)) return MISSING;
    const { mantissa, exponent } = parts(value, digits);
    return exponent ? `${trimmed(mantissa)}e${exponent}` : trimmed(mantissa);
  }

  function count(value, digits = 3) {
    if (!Number.isFinite(value)) return MISSING;
    const { mantissa, exponent } = parts(value, digits);
    const size = Math.abs(Number(`${mantissa}e${exponent}`));
    if (size >= 1e15 || (size > 0 && size < 1e-3)) return scientific(value, digits);
    const [scale, suffix] = SUFFIXES.find(([least]) => size >= least) ?? [1, ""];
    const places = digits - 1 - exponent + Math.round(Math.log10(scale));
    const text = (Number(`${mantissa}e${exponent}`) / scale).toFixed(Math.max(places, 0));
    return `${trimmed(text)}${suffix}`;
  }

  // A number whose uncertainty is unknown, with a fixed count of significant digits.
  function plain(number, digits = 4) {
    if (number === null || !Number.isFinite(number)) return MISSING;
    if (number === 0) return "0";
    if (!(Math.abs(number) >= 1e-4 && Math.abs(number) < 1e6)) return scientific(number, digits);
    const { mantissa, exponent } = parts(number, digits);
    return Number(`${mantissa}e${exponent}`).toFixed(Math.max(digits - 1 - exponent, 0));
  }

  // A positive number as a product with a power of ten, for axes.
  function power(value, digits = 2) {
    const { mantissa, exponent } = parts(value, digits);
    const raised = `10${String(exponent).replace(/[-\d]/g, (c) => "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"["-0123456789".indexOf(c)])}`;
    return trimmed(mantissa) === "1" ? raised : `${trimmed(mantissa)}×${raised}`;
  }

  return { count, plain, power, scientific };
})();
