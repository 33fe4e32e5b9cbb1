import js from "@eslint/js";
import globals from "globals";

// Scripts of a page share one scope: each file defines one name, in the order in which the page embeds them.
const OWN = [
  "Figures", "lawfulNumbers", "lawfulKeys", "lawfulMath", "lawfulModel", "lawfulFit", "lawfulDraw", "lawfulReadouts", "lawfulExplorer",
  "lawfulCoupled", "lawfulTable", "lawfulOwn", "lawfulOwnDraw", "lawfulYours", "lawfulSettings",
];

export default [
  { ignores: ["**/*.min.js"] },
  {
    files: ["src/lawful/show/assets/*.js"],
    ...js.configs.recommended,
    languageOptions: {
      ecmaVersion: 2022,
      sourceType: "script",
      globals: {
        ...globals.browser,
        Plot: "readonly",
        d3: "readonly",
        ...Object.fromEntries(OWN.map((name) => [name, "readonly"])),
      },
    },
    rules: {
      ...js.configs.recommended.rules,
      "no-redeclare": ["error", { builtinGlobals: false }],
      "no-unused-vars": ["error", { varsIgnorePattern: `^(${OWN.join("|")})$` }],
      "no-shadow": "error",
      "no-var": "error",
      "prefer-const": "error",
      eqeqeq: "error",
      strict: ["error", "global"],
      "no-implicit-globals": "off",
    },
  },
];
