// Libraries that pages embed as published; their own types are not shipped with them.
declare const Plot: any;
declare const d3: any;
