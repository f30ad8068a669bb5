/* The page's behaviour: the slices, and the records with search, order, filters and marked differences.
   All texts reach the page by textContent or text nodes, so that they are shown and never run. */
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const names = Object.keys(data.systems);
  const PAGE_SIZE = 20;
  const LONG_TITLE = 240, LONG_TEXT = 1200; // characters, above which a text is folded
  const MOST_CELLS = 4e6; // of the table that compares two texts word by word: above, it would take a second

  const records = data.records.map(([uid, title, reference, facts, answers], position) => ({
    position, uid, title, reference, facts,
    answers: Object.fromEntries(answers.map(([text, scores, stated, wrong], index) =>
      [names[index], { text, scores, stated, wrong }])),
  }));

  const byId = (id) => document.getElementById(id);
  const label = (name) => data.systems[name];
  const unsigned = (number, digits) => number.toFixed(digits).replace(/^-(?=0\.?0*$)/, "").replace("-", "−");
  const signed = (number, digits) => (Number(number.toFixed(digits)) > 0 ? "+" : "") + unsigned(number, digits);
  const count = (number, noun) => `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;

  /** An element with properties and children; strings become text. */
  function element(tag, properties = {}, ...children) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(properties)) {
      if (name in made && name !== "list") made[name] = value;
      else made.setAttribute(name, value);
    }
    made.append(...children);
    return made;
  }

  /** Control characters as the signs that stand for them, so that a reader sees that they are there. */
  const visible = (text) => text.replace(/[\u0000-\u0008\u000b-\u001f\u007f]/g,
    (sign) => sign === "\r" ? "" : sign === "\u007f" ? "␡" : String.fromCharCode(0x2400 + sign.charCodeAt(0)));

  // ---- theme: the system's, until the reader chooses --------------------------------------------------------------
  const theme = byId("theme");
  const systemDark = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (document.documentElement.dataset.theme || (systemDark.matches ? "dark" : "light")) === "dark";
  const remembered = (value) => { // file pages may have no storage
    try { return value ? localStorage.setItem("theme", value) : localStorage.getItem("theme"); } catch { return null; }
  };
  function nameTheme() { theme.textContent = isDark() ? "Light" : "Dark"; theme.setAttribute("aria-label", `Use ${isDark() ? "light" : "dark"} colours`); }
  function startTheme() {
    if (["dark", "light"].includes(remembered())) document.documentElement.dataset.theme = remembered();
    theme.addEventListener("click", () => {
      document.documentElement.dataset.theme = isDark() ? "light" : "dark";
      remembered(document.documentElement.dataset.theme);
      nameTheme();
    });
    systemDark.addEventListener("change", nameTheme);
    theme.hidden = false;
    nameTheme();
  }

  // ---- slices -----------------------------------------------------------------------------------------------------
  const SVG = "http://www.w3.org/2000/svg";

  /** A small bar: an estimate with its interval between the two ends of a scale. */
  function bar({ estimate, low, high }, [start, end]) {
    const place = (number) => (4 + 112 * (number - start) / (end - start || 1)).toFixed(1);
    const drawing = document.createElementNS(SVG, "svg");
    const draw = (tag, attributes) => {
      const part = document.createElementNS(SVG, tag);
      for (const [name, given] of Object.entries(attributes)) part.setAttribute(name, given);
      drawing.append(part);
    };
    for (const [name, given] of Object.entries({ class: "bar", viewBox: "0 0 120 12", "aria-hidden": "true" })) drawing.setAttribute(name, given);
    draw("line", { class: "track", x1: 0, x2: 120, y1: 6, y2: 6 });
    draw("line", { class: "zero", x1: place(0), x2: place(0), y1: 0, y2: 12 });
    if (low != null) draw("line", { class: "range", x1: place(low), x2: place(high), y1: 6, y2: 6 });
    draw("line", { class: "estimate", x1: place(estimate), x2: place(estimate), y1: 1, y2: 11 });
    return drawing;
  }

  /** The cell of a figure: number, bar, interval. A slice of few records has no interval. */
  function figureCell(title, found, scale, show) {
    const cell = element("td", { "data-label": title });
    if (!found) { cell.append("–"); return cell; }
    cell.append(element("span", { className: "value" }, show(found.estimate)), bar(found, scale));
    if (found.low != null) cell.append(element("span", { className: "interval" }, `${show(found.low)} to ${show(found.high)}`));
    return cell;
  }

  const differenceName = `${data.tuned}_minus_${data.base}`;

  /** One dimension's slices in one score, as a table. */
  function sliceTable(dimension, slices, score) {
    const percent = data.scores[score][3], digits = percent ? 1 : 3;
    const rows = Object.entries(slices).map(([name, slice]) => ({
      name, records: slice.records, difference: slice.difference?.[differenceName]?.[score],
      values: Object.fromEntries(names.map((system) => [system, slice.value?.[system]?.[score]])),
    }));
    const ends = (found) => found.filter(Boolean).flatMap((one) => [one.estimate, one.low ?? 0, one.high ?? 0]).map(Math.abs);
    const top = percent ? 100 : Math.max(...ends(rows.flatMap((row) => Object.values(row.values))));
    const furthest = Math.max(...ends(rows.map((row) => row.difference)));
    const shown = names.filter((name) => rows.some((row) => row.values[name]));
    const whole = data.overall[differenceName]?.[score]?.estimate;
    const head = ["slice", "records", ...shown.map(label), `${label(data.tuned)} minus ${label(data.base)}`];
    const body = rows.map((row) => {
      const title = element("th", { scope: "row" }, element("span", { className: "name" }, row.name));
      if (row.difference?.estimate * whole < 0) title.append(" ", element("span", { className: "badge worse" }, "against the whole"));
      return element("tr", {}, title, element("td", { "data-label": "records" }, row.records.toLocaleString("en")),
        ...shown.map((name) => figureCell(label(name), row.values[name], [0, top], (number) => unsigned(number, digits))),
        figureCell("difference", row.difference, [-furthest, furthest], (number) => signed(number, digits)));
    });
    const table = element("table", { className: "slices stack" },
      element("thead", {}, element("tr", {}, ...head.map((text) => element("th", { scope: "col" }, text)))), element("tbody", {}, ...body));
    return element("div", { className: "scroll", role: "region", "aria-label": `By ${dimension}`, tabIndex: 0 },
      element("h3", {}, `By ${dimension}`), table);
  }

  function showSlices() {
    const [, better, meaning] = data.scores[byId("slice-score").value];
    const way = better ? ` ${better === "higher" ? "↑ higher" : "↓ lower"} is better` : "";
    byId("slice-tables").replaceChildren(element("p", { className: "muted" }, meaning, way),
      ...Object.entries(data.slices).map(([dimension, slices]) => sliceTable(dimension, slices, byId("slice-score").value)));
  }

  function startSlices() {
    const choice = byId("slice-score");
    if (!choice) return;
    const values = Object.values(data.slices).flatMap((slices) => Object.values(slices)).flatMap((slice) => Object.values(slice.value));
    const scores = new Set(values.flatMap((value) => Object.keys(value)));
    for (const name of Object.keys(data.scores)) if (scores.has(name)) choice.append(element("option", { value: name }, data.scores[name][0]));
    choice.addEventListener("change", showSlices);
    if (choice.options.length) showSlices();
  }

  // ---- marks: words of one text that another lacks, and facts -----------------------------------------------------
  const WORD = /(\s*)([\p{L}\p{N}\p{M}_]+(?:['’.,-][\p{L}\p{N}\p{M}_]+)*|[^\s]|$)/gu;

  /** A text as words and signs, each with the space before it. */
  const splitWords = (text) => Array.from(text.matchAll(WORD), ([, space, word]) => ({ space, word, key: word.replace("’", "'") }))
    .filter(({ space, word }) => space || word);

  /** Both texts' words as one list of {space, word, kind}: same, extra (the first text's alone), missing (the other's). */
  function compareWords(first, other) {
    const left = splitWords(first), right = splitWords(other);
    let start = 0, leftEnd = left.length, rightEnd = right.length;
    while (start < leftEnd && start < rightEnd && left[start].key === right[start].key) start += 1;
    while (leftEnd > start && rightEnd > start && left[leftEnd - 1].key === right[rightEnd - 1].key) { leftEnd -= 1; rightEnd -= 1; }
    const rows = leftEnd - start, columns = rightEnd - start;
    if (rows * columns > MOST_CELLS) return null;
    const width = columns + 1;
    const longest = new Uint16Array((rows + 1) * width); // common subsequence of both rests
    for (let row = rows - 1; row >= 0; row -= 1) {
      for (let column = columns - 1; column >= 0; column -= 1) {
        longest[row * width + column] = left[start + row].key === right[start + column].key
          ? longest[(row + 1) * width + column + 1] + 1
          : Math.max(longest[(row + 1) * width + column], longest[row * width + column + 1]);
      }
    }
    const found = left.slice(0, start).map((word) => ({ ...word, kind: "same" }));
    let row = 0, column = 0;
    while (row < rows || column < columns) {
      if (row < rows && column < columns && left[start + row].key === right[start + column].key) {
        found.push({ ...left[start + row], kind: "same" }); row += 1; column += 1;
      } else if (column >= columns || (row < rows && longest[(row + 1) * width + column] >= longest[row * width + column + 1])) {
        found.push({ ...left[start + row], kind: "extra" }); row += 1;
      } else {
        found.push({ ...right[start + column], kind: "missing" }); column += 1;
      }
    }
    return found.concat(left.slice(leftEnd).map((word) => ({ ...word, kind: "same" })));
  }

  /** Neighbours of one kind as one node, so that a phrase has one mark. */
  function markedWords(words, withMissing) {
    const nodes = [];
    let last = null, kind = "same";
    for (const one of words) {
      if (one.kind === "missing" && !withMissing) continue;
      if (one.kind !== kind || last === null) {
        if (one.space || (one.kind === "missing" && last !== null)) nodes.push(one.space || " ");
        last = one.kind === "same" ? document.createTextNode("") : element(one.kind === "extra" ? "ins" : "del");
        kind = one.kind;
        nodes.push(last);
        last.append ? last.append(visible(one.word)) : last.appendData(visible(one.word));
      } else {
        last.append ? last.append(visible(one.space + one.word)) : last.appendData(visible(one.space + one.word));
      }
    }
    return nodes;
  }

  /** A text in small letters with plain quotes, hyphens and spaces, sign by sign, so that places stay the same. */
  const plain = (text) => Array.from({ length: text.length }, (_, place) => {
    const small = text[place].toLowerCase();
    return small.length !== 1 ? text[place] : small.replace(/[’‘]/, "'").replace(/[‐‑–]/, "-").replace(/\s/, " ");
  }).join("");

  /** A text with the facts that it states marked, the longest first, none inside another. */
  function markedFacts(text, { stated, wrong }) {
    const searched = plain(text), spans = [];
    const facts = [...stated.map((value) => [value, "stated"]), ...wrong.map((value) => [value, "wrong"])];
    for (const [value, kind] of facts.sort((one, other) => other[0].length - one[0].length)) {
      const escaped = value.replace(/[.*+?^${}()|[\]\\/]/g, "\\$&");
      for (const { index } of searched.matchAll(new RegExp(`(?<![\\p{L}\\p{N}_])${escaped}(?![\\p{L}\\p{N}_])`, "gu"))) {
        const end = index + value.length;
        if (spans.every((span) => end <= span.index || index >= span.end)) spans.push({ index, end, kind });
      }
    }
    const nodes = [];
    let place = 0;
    for (const { index, end, kind } of spans.sort((one, other) => one.index - other.index)) {
      nodes.push(visible(text.slice(place, index)), element("mark", { className: kind }, visible(text.slice(index, end))));
      place = end;
    }
    return [...nodes, visible(text.slice(place))];
  }

  // ---- what the reader has chosen ---------------------------------------------------------------------------------
  const FIELDS = ["query", "order", "score", "system", "other", "only", "mark", "missing"];
  const form = byId("controls");
  const valueOf = (id) => byId(id).type === "checkbox" ? (byId(id).checked ? "1" : "") : byId(id).value;
  let page = 0, chosen = [], defaults = {};

  const visibleSystems = () => names.filter((name) => byId(`show-${names.indexOf(name)}`).checked);

  /** The choices stand in the address, so that a link shows what its sender saw. */
  function rememberChoices() {
    const changed = new URLSearchParams();
    for (const id of FIELDS) if (valueOf(id) !== defaults[id]) changed.set(id, valueOf(id));
    if (visibleSystems().join() !== defaults.systems) changed.set("systems", visibleSystems().join());
    if (page) changed.set("page", page + 1);
    try { history.replaceState(null, "", String(changed) ? `#records?${changed}` : location.pathname + location.search); } catch { /* no address to write to */ }
  }

  function recallChoices() {
    const [, query] = location.hash.split("?");
    const given = new URLSearchParams(query ?? "");
    for (const id of FIELDS) {
      if (!given.has(id)) continue;
      const field = byId(id);
      if (field.type === "checkbox") field.checked = given.get(id) === "1";
      else if (field.tagName !== "SELECT" || [...field.options].some((option) => option.value === given.get(id))) field.value = given.get(id);
    }
    if (given.has("systems")) names.forEach((name, index) => { byId(`show-${index}`).checked = given.get("systems").split(",").includes(name); });
    page = Math.max(0, (parseInt(given.get("page"), 10) || 1) - 1);
  }

  // ---- which records, in which order ------------------------------------------------------------------------------
  const searchable = (record) => record.haystack ??= [record.uid, record.title, record.reference,
    ...names.map((name) => record.answers[name].text)].join("\n").toLowerCase();
  const searchTerms = () => byId("query").value.toLowerCase().split(/\s+/).filter(Boolean);

  function choose() {
    const score = Number(valueOf("score")), system = valueOf("system"), other = valueOf("other");
    const own = (record) => record.answers[system].scores[score];
    const change = (record) => own(record) - record.answers[other].scores[score];
    const keys = {
      file: () => 0, worst: own, best: (record) => -own(record),
      changed: (record) => -Math.abs(change(record)), gains: (record) => -change(record), losses: change,
    };
    const tests = {
      all: () => true, behind: (record) => change(record) < 0,
      wrong: (record) => record.answers[system].wrong.length > 0,
      missing: (record) => record.answers[system].stated.length < record.facts,
      empty: (record) => !record.answers[system].text.trim(),
    };
    const key = keys[valueOf("order")], test = tests[valueOf("only")], terms = searchTerms();
    chosen = records.filter((record) => test(record) && terms.every((term) => searchable(record).includes(term)))
      .sort((one, next) => key(one) - key(next) || one.position - next.position);
  }

  // ---- a record on the page ---------------------------------------------------------------------------------------
  /** A text of its own direction; a long one folded, with a button that unfolds it. */
  function textBlock(tag, nodes, length, limit) {
    const block = element(tag, { className: "body", dir: "auto" }, ...nodes);
    if (length <= limit) return [block];
    block.classList.add("folded");
    const button = element("button", { type: "button", className: "quiet unfold", "aria-expanded": "false" }, `Show all ${length.toLocaleString("en")} characters`);
    button.addEventListener("click", () => {
      const folded = block.classList.toggle("folded");
      button.setAttribute("aria-expanded", String(!folded));
      button.textContent = folded ? `Show all ${length.toLocaleString("en")} characters` : "Show less";
    });
    return [block, button];
  }

  /** What an answer is compared with: its own system with the compared one, and every other with it, too. */
  function comparedText(record, name) {
    if (valueOf("mark") === "reference") return record.reference;
    return record.answers[name === valueOf("other") ? valueOf("system") : valueOf("other")].text;
  }

  function answerNodes(record, name) {
    const answer = record.answers[name], mark = valueOf("mark");
    if (!answer.text.trim()) return [element("em", { className: "muted" }, "(empty answer)")];
    if (mark === "facts") return markedFacts(answer.text, answer);
    const words = mark === "none" ? null : compareWords(answer.text, comparedText(record, name));
    return words ? markedWords(words, byId("missing").checked) : [visible(answer.text)];
  }

  function factsNote(record, { stated, wrong }) {
    if (!record.facts && !wrong.length) return "";
    const note = `facts ${stated.length} of ${record.facts}`;
    return wrong.length ? `${note}, ${wrong.length} wrong` : note;
  }

  function answerPart(record, name) {
    const answer = record.answers[name];
    const meta = element("p", { className: "meta" }, ...data.record_scores.map((title, index) =>
      element("span", {}, `${title} ${answer.scores[index].toFixed(1)}`)));
    const note = factsNote(record, answer);
    if (note) meta.append(element("span", { className: answer.wrong.length ? "wrong" : "" }, note));
    return element("section", { className: name === data.tuned ? "text tuned" : "text", "aria-label": label(name) },
      element("h4", {}, label(name)), ...textBlock("p", answerNodes(record, name), answer.text.length, LONG_TEXT), meta);
  }

  function recordCard(record) {
    const score = Number(valueOf("score"));
    const change = record.answers[valueOf("system")].scores[score] - record.answers[valueOf("other")].scores[score];
    const meta = element("p", { className: "meta" }, element("span", {}, `record ${record.position + 1}`),
      element("span", {}, "uid ", element("bdi", {}, visible(record.uid))),
      element("span", {}, `${signed(change, 1)} ${data.record_scores[score]}, ${label(valueOf("system"))} minus ${label(valueOf("other"))}`));
    const reference = element("section", { className: "text reference", "aria-label": "reference text" }, element("h4", {}, "reference text"),
      ...textBlock("p", [visible(record.reference)], record.reference.length, LONG_TEXT));
    return element("article", { className: "record" },
      element("header", {}, ...textBlock("h3", [visible(record.title)], record.title.length, LONG_TITLE), meta),
      element("div", { className: "texts" }, reference, ...visibleSystems().map((name) => answerPart(record, name))));
  }

  /** The found words painted over the texts, without a change of them, where the browser can. */
  function paintSearch() {
    if (!globalThis.Highlight || !CSS.highlights) return;
    CSS.highlights.delete("search");
    const terms = searchTerms(), ranges = [];
    if (!terms.length) return;
    const walker = document.createTreeWalker(byId("list"), NodeFilter.SHOW_TEXT, (node) =>
      node.parentElement.closest(".body") ? NodeFilter.FILTER_ACCEPT : NodeFilter.FILTER_SKIP);
    while (walker.nextNode()) {
      const text = plain(walker.currentNode.data);
      for (const term of terms) {
        for (let place = text.indexOf(term); place >= 0; place = text.indexOf(term, place + term.length)) {
          const range = document.createRange();
          range.setStart(walker.currentNode, place);
          range.setEnd(walker.currentNode, place + term.length);
          ranges.push(range);
        }
      }
    }
    CSS.highlights.set("search", new Highlight(...ranges));
  }

  function showKey() {
    const mark = valueOf("mark"), withMissing = byId("missing").checked, key = byId("key");
    const against = mark === "other" ? `the answer of the ${label(valueOf("other"))}` : "the reference text";
    const parts = {
      none: [],
      facts: [element("mark", { className: "stated" }, "stated"), " a fact of the title, ", element("mark", { className: "wrong" }, "wrong"), " a fact that is not true of the product"],
      other: [element("ins", {}, "extra"), ` not in ${against}`, ...(withMissing ? [", ", element("del", {}, "missing"), ` only in ${against}`] : [])],
    };
    parts.reference = parts.other;
    key.replaceChildren(...parts[mark]);
    key.hidden = mark === "none";
  }

  function show() {
    const pages = Math.max(1, Math.ceil(chosen.length / PAGE_SIZE));
    page = Math.min(page, pages - 1);
    byId("missing").disabled = !["reference", "other"].includes(valueOf("mark"));
    const first = page * PAGE_SIZE, shown = chosen.slice(first, first + PAGE_SIZE);
    byId("list").replaceChildren(...shown.map(recordCard));
    byId("status").textContent = chosen.length === records.length ? count(records.length, "record")
      : chosen.length ? `${chosen.length.toLocaleString("en")} of ${count(records.length, "record")}` : "No record matches. Try fewer words, or another filter.";
    byId("page").textContent = `Page ${page + 1} of ${pages}`;
    byId("previous").disabled = page === 0;
    byId("next").disabled = page === pages - 1;
    byId("pager").hidden = pages === 1;
    showKey();
    paintSearch();
    rememberChoices();
  }

  function turnPage(step) {
    page += step;
    show();
    byId("status").scrollIntoView({ block: "start" });
  }

  function refresh() { page = 0; choose(); show(); }

  // ---- start ------------------------------------------------------------------------------------------------------
  function startRecords() {
    data.record_scores.forEach((title, index) => byId("score").append(element("option", { value: String(index) }, title)));
    for (const id of ["system", "other"]) for (const name of names) {
      const standard = name === (id === "system" ? data.tuned : data.base);
      byId(id).append(element("option", { value: name, selected: standard, defaultSelected: standard }, label(name)));
    }
    names.forEach((name, index) => { // more than four answers side by side are hard to compare
      const on = names.length <= 4 || [data.tuned, data.base].includes(name);
      byId("systems").append(element("label", { className: "chip" }, element("input", { type: "checkbox", id: `show-${index}`, checked: on, defaultChecked: on }), label(name)));
    });
    defaults = Object.fromEntries(FIELDS.map((id) => [id, valueOf(id)]));
    defaults.systems = visibleSystems().join();
    recallChoices();
    form.hidden = false;
    let waiting = 0;
    byId("query").addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(refresh, 120); });
    form.addEventListener("change", (event) => {
      if (["mark", "missing"].includes(event.target.id) || event.target.id.startsWith("show-")) show();
      else refresh();
    });
    form.addEventListener("submit", (event) => { event.preventDefault(); refresh(); });
    form.addEventListener("reset", () => setTimeout(refresh)); // after the fields have their first values again
    byId("previous").addEventListener("click", () => turnPage(-1));
    byId("next").addEventListener("click", () => turnPage(1));
    choose();
    show();
  }

  startTheme();
  startSlices();
  startRecords();
})();
