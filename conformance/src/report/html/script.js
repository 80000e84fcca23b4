
"use strict";
{
  const form = document.getElementById("filter");
  const told = [...document.querySelectorAll("[data-standing]")].map((element) => ({
    element,
    standings: element.dataset.standing.split(" "),
    differs: "differs" in element.dataset,
    isCase: element.tagName === "TR",
    text: element.textContent.toLowerCase(),
  }));

  const apply = () => {
    const words = form.elements.words.value.toLowerCase().split(/\s+/).filter((word) => word !== "");
    const chosen = new Set(
      [...form.querySelectorAll("[name=standing]:checked")].map((box) => box.value),
    );
    const onlyDiffering = form.elements.differing?.checked ?? false;
    let [shown, all] = [0, 0];
    for (const { element, standings, differs, isCase, text } of told) {
      const matches =
        words.every((word) => text.includes(word)) &&
        standings.some((standing) => chosen.has(standing)) &&
        (!onlyDiffering || differs || !isCase);
      element.hidden = !matches;
      if (isCase) {
        all += 1;
        shown += matches ? 1 : 0;
      }
    }
    document.getElementById("shown").textContent = `${shown} of ${all} cases`;
  };

  // A link to a case opens it, filtered away or not.
  const open = () => {
    const found = document.getElementById(location.hash.slice(1));
    if (found instanceof HTMLDetailsElement) {
      found.hidden = false;
      found.open = true;
      found.scrollIntoView();
    }
  };

  form.addEventListener("input", apply);
  form.addEventListener("submit", (event) => event.preventDefault());
  window.addEventListener("hashchange", open);
  form.hidden = false;
  apply();
  open();
}
