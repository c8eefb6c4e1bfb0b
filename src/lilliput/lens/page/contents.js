// The contents of the page: buttons that open and close all parts, and links that open the part they lead to.

const parts = [...document.querySelectorAll("details.part")];
const folding = document.querySelector(".folding");

function reveal() {
  const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  const part = target && target.closest("details.part");
  if (!part) return;
  part.open = true;
  target.scrollIntoView();
}

if (folding && parts.length > 1) {
  folding.hidden = false;
  folding.addEventListener("click", (event) => {
    const fold = event.target.dataset.fold;
    if (fold) for (const part of parts) part.open = fold === "open";
  });
}
addEventListener("hashchange", reveal);
reveal();
