// A table that is wider than its page is scrolled: by the keyboard too, so it takes the focus and has a name.
document$.subscribe(() => {
  document.querySelectorAll(".md-typeset__scrollwrap").forEach((wrap, i) => {
    wrap.tabIndex = 0;
    wrap.setAttribute("role", "region");
    wrap.setAttribute("aria-label", `Table ${i + 1}`);
  });
});
