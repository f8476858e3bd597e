"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const byId = (id) => document.getElementById(id);
  const make = (tag, text, className) => {
    const element = document.createElement(tag);
    if (text !== undefined) element.textContent = text;
    if (className) element.className = className;
    return element;
  };
  const svg = (tag, attributes, ...children) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.append(...children);
    return element;
  };
  const name = (index) => data.names[index] ?? String(index);
  const percent = (share) => (100 * share).toFixed(1) + " %";
  for (const element of all(".script[hidden]")) element.hidden = false;

  // Tables: a button in each head sorts, with numbers as numbers.
  const value = (cell) => {
    const text = cell ? cell.dataset.v ?? cell.textContent.trim() : "";
    const number = parseFloat(text.replace(/\s/g, ""));
    return /^[-+.\d]/.test(text) && !Number.isNaN(number) ? number : text.toLowerCase();
  };
  const compare = (a, b) =>
    typeof a === typeof b ? (a < b ? -1 : a > b ? 1 : 0) : typeof a === "number" ? -1 : 1;
  for (const table of all("table[data-sortable]")) {
    const heads = all("thead th", table);
    heads.forEach((head, column) => {
      const button = make("button", head.textContent);
      button.type = "button";
      head.replaceChildren(button);
      button.addEventListener("click", () => {
        const down = head.getAttribute("aria-sort") !== "descending" && !head.classList.contains("text")
          || head.getAttribute("aria-sort") === "ascending";
        for (const other of heads) other.removeAttribute("aria-sort");
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        const body = table.tBodies[0];
        const rows = [...body.rows].map((row) => [value(row.cells[column]), row]);
        rows.sort((one, two) => (down ? -1 : 1) * compare(one[0], two[0]));
        body.append(...rows.map((row) => row[1]));
      });
    });
  }

  // Galleries: kind, words, and a pair of classes that was opened elsewhere.
  const kind = byId("kind"), filter = byId("filter"), found = byId("found");
  let pair = null;
  // Of a long gallery the first rows, until somebody wants all or narrows it.
  const FIRST = 14;
  const whole = new Set();
  const more = new Map();
  for (const section of all("[data-gallery]")) {
    const count = all("li[data-kind]", section).length;
    if (count <= FIRST + 2) {
      whole.add(section);
      continue;
    }
    const button = make("button", `Show all ${count}`);
    button.type = "button";
    button.addEventListener("click", () => {
      const next = all("li[data-kind]", section).find((card) => card.hidden);
      whole.add(section);
      showCards();
      const link = next?.querySelector("a, select");
      if (link) link.focus();
    });
    const line = make("p");
    line.append(button);
    section.append(line);
    more.set(section, line);
  }
  const isPair = (card) =>
    pair === null || card.dataset.truth.split(" ").includes(String(pair[0])) && card.dataset.predicted === String(pair[1]);
  const showCards = () => {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    const narrowed = kind.value || words.length || pair;
    let count = 0, total = 0;
    for (const section of all("[data-gallery]")) {
      let here = 0;
      const most = narrowed || whole.has(section) ? Infinity : FIRST;
      more.get(section)?.toggleAttribute("hidden", most === Infinity);
      for (const card of all("li[data-kind]", section)) {
        const fits = (!kind.value || card.dataset.kind === kind.value)
          && words.every((word) => card.dataset.text.includes(word)) && isPair(card);
        here += fits;
        card.hidden = !fits || here > most;
        total += 1;
      }
      for (const both of all(".duplicates > li", section)) both.hidden = all("li[data-kind]", both).every((card) => card.hidden);
      section.hidden = here === 0;
      count += here;
    }
    const what = pair ? `: ${name(pair[0])} taken for ${name(pair[1])}` : "";
    found.textContent = narrowed ? `${count} of ${total} shown${what}` : "";
  };
  if (kind) {
    kind.addEventListener("change", showCards);
    filter.addEventListener("input", showCards);
    byId("clear").addEventListener("click", () => {
      [kind.value, filter.value, pair] = ["", "", null];
      showCards();
      showFiles();
    });
    showCards();
  }

  // The files of a pair of classes.
  const files = byId("files");
  const showFiles = () => {
    if (!files) return;
    const fits = data.wrong.filter((one) => pair === null || one[1] === pair[0] && one[2] === pair[1]);
    files.tBodies[0].replaceChildren(...fits.slice(0, 300).map((one) => {
      const row = make("tr");
      const path = make("td", undefined, "text path");
      path.append(make("bdi", one[0]));
      row.append(path, make("td", name(one[1]), "text"), make("td", name(one[2]), "text"), make("td", percent(one[3])));
      return row;
    }));
    byId("files-title").textContent =
      pair ? `Wrong images: ${name(pair[0])} taken for ${name(pair[1])}` : "Wrong images";
  };
  const openPair = (truth, predicted) => {
    if (truth === predicted) return openClass(truth);
    pair = [truth, predicted];
    showFiles();
    if (kind) showCards();
    const target = byId("files-title");
    if (target) {
      target.tabIndex = -1;
      target.focus();
      target.scrollIntoView({ block: "start" });
    }
  };
  const pressed = (element, action) => {
    element.addEventListener("click", action);
    element.addEventListener("keydown", (event) => {
      if (event.key === "Enter" || event.key === " ") {
        event.preventDefault();
        action();
      }
    });
  };
  const wireCells = (root) => {
    for (const cell of all(".cell", root)) pressed(cell, () => openPair(Number(cell.dataset.t), Number(cell.dataset.p)));
  };
  wireCells(document);
  for (const cell of all("td[data-open]")) {
    const row = cell.parentElement;
    const button = make("button", cell.textContent, "plain");
    button.type = "button";
    button.setAttribute("aria-label", `${cell.textContent} images: ${name(row.dataset.t)} taken for ${name(row.dataset.p)}, list them`);
    button.addEventListener("click", () => openPair(Number(row.dataset.t), Number(row.dataset.p)));
    cell.dataset.v = cell.textContent;
    cell.replaceChildren(button);
  }

  // A block of a large matrix.
  const matrix = (allRows, allColumns) => {
    // Of blocks off the diagonal few classes are confused: only those are drawn.
    const [inRows, inColumns] = [new Set(allRows), new Set(allColumns)];
    const cells = data.cells.filter((cell) => inRows.has(cell[0]) && inColumns.has(cell[1]));
    const [usedRows, usedColumns] = [0, 1].map((at) => new Set(cells.map((cell) => cell[at])));
    const rows = allRows.filter((index) => usedRows.has(index));
    const columns = allColumns.filter((index) => usedColumns.has(index));
    const classes = [rows, columns], side = 16;
    const short = (index) => {
      const first = name(index).split(",")[0];
      return first.length > 22 ? first.slice(0, 21) + "…" : first;
    };
    const margin = Math.min(150, 16 + 7 * Math.max(...classes.flat().map((index) => short(index).length)));
    const [height, width] = classes.map((list) => margin + side * list.length);
    const root = svg("svg", {
      class: "matrix", viewBox: `0 0 ${width + margin / 2} ${height}`, width: width + margin / 2, height, role: "group",
      "aria-label": "Part of the confusion matrix",
    }, svg("rect", { class: "plane", x: margin, y: margin, width: width - margin, height: height - margin }));
    rows.forEach((index, at) => root.append(svg("text", { class: "label end", x: margin - 6, y: margin + at * side + 12 }, short(index))));
    columns.forEach((index, at) => root.append(svg("text", { class: "label", transform: `translate(${margin + at * side + 11} ${margin - 6}) rotate(-60)` }, short(index))));
    const [rowOf, columnOf] = classes.map((list) => new Map(list.map((index, at) => [index, at])));
    const totals = new Map();
    for (const [truth, , count] of data.cells) totals.set(truth, (totals.get(truth) ?? 0) + count);
    for (const [truth, predicted, count] of cells) {
      const [row, column] = [rowOf.get(truth), columnOf.get(predicted)];
      const share = count / totals.get(truth);
      const label = truth === predicted ? `${name(truth)}: ${count} right, ${percent(share)}`
        : `${name(truth)} taken for ${name(predicted)}: ${count}, ${percent(share)}`;
      root.append(svg("g", { class: "cell", role: "button", tabindex: 0, "data-t": truth, "data-p": predicted, "aria-label": label },
        svg("title", {}, label),
        svg("rect", {
          class: truth === predicted ? "hit" : "miss", x: margin + column * side, y: margin + row * side,
          width: side, height: side, "fill-opacity": (0.12 + 0.88 * Math.sqrt(share)).toFixed(2),
        })));
    }
    return root;
  };
  for (const block of all(".block")) {
    const size = Number(block.closest("svg").dataset.block);
    const part = (at) => data.order.slice(at * size, (at + 1) * size);
    pressed(block, () => {
      const [row, column] = [Number(block.dataset.row), Number(block.dataset.column)];
      const drawn = matrix(part(row), part(column));
      wireCells(drawn);
      byId("detail").replaceChildren(drawn);
      const from = (at) => `${at * size + 1} to ${Math.min((at + 1) * size, data.order.length)}`;
      byId("detail-text").textContent = `Classes ${from(row)} (rows), taken for ${from(column)} (columns), in the order of the blocks.`;
      byId("detail").focus();
    });
  }

  // One class.
  const dialog = byId("dialog");
  byId("dialog-close").addEventListener("click", () => dialog.close());
  const curve = (points) => {
    const [width, height, left, bottom] = [420, 260, 46, 40];
    const x = (recall) => left + recall * (width - 28 - left);
    const y = (precision) => height - bottom - precision * (height - bottom - 12);
    const right = width - 28;
    const root = svg("svg", { class: "chart", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": "Precision by recall" });
    for (const at of [0, 0.25, 0.5, 0.75, 1]) {
      root.append(
        svg("path", { class: "grid", d: `M${left} ${y(at)}H${right}` }),
        svg("text", { class: "tick end", x: left - 6, y: y(at) + 4 }, percent(at).replace(".0", "")),
        svg("text", { class: "tick middle", x: x(at), y: height - bottom + 16 }, percent(at).replace(".0", "")));
    }
    root.append(
      svg("polyline", { class: "curve", points: points.map(([recall, precision]) => `${x(recall / 1000)},${y(precision / 1000)}`).join(" ") }),
      svg("text", { class: "name middle", x: (left + width) / 2, y: height - 6 }, "recall (upwards: precision)"));
    return root;
  };
  const list = (title, pairs, text) => {
    if (!pairs.length) return [];
    const items = make("ul");
    for (const one of pairs.sort((a, b) => b[2] - a[2]).slice(0, 8)) {
      const item = make("li"), button = make("button", text(one), "plain");
      button.type = "button";
      button.addEventListener("click", () => {
        dialog.close();
        openPair(one[0], one[1]);
      });
      item.append(button);
      items.append(item);
    }
    return [make("h3", title), items];
  };
  const openClass = (index) => {
    byId("dialog-title").textContent = name(index);
    const wrong = data.cells.filter((cell) => cell[0] !== cell[1]);
    const points = (data.curves ?? {})[index];
    byId("dialog-body").replaceChildren(
      ...(points ? [make("h3", "Precision and recall at every threshold"), curve(points)] : [make("p", "No image shows this class.")]),
      ...list("Taken for", wrong.filter((cell) => cell[0] === index), (cell) => `${name(cell[1])}: ${cell[2]}`),
      ...list("Others taken for it", wrong.filter((cell) => cell[1] === index), (cell) => `${name(cell[0])}: ${cell[2]}`));
    dialog.showModal();
  };
  for (const head of all("#class-table [data-name]")) {
    const button = make("button", head.textContent, "plain");
    button.type = "button";
    button.addEventListener("click", () => openClass(Number(head.parentElement.dataset.class)));
    head.replaceChildren(button);
  }
  const classFilter = byId("class-filter");
  if (classFilter) classFilter.addEventListener("input", () => {
    const word = classFilter.value.toLowerCase();
    for (const row of byId("class-table").tBodies[0].rows) row.hidden = !row.cells[0].textContent.toLowerCase().includes(word);
  });

  // Corrections, as a CSV to be saved.
  const corrections = byId("corrections");
  if (corrections) {
    const quoted = (text) => /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
    const before = new Map(data.corrected), save = byId("save-corrections"), boxes = all("select[data-correct]");
    const chosen = new Map();
    const write = () => {
      const rows = new Map([...before, ...chosen]);
      corrections.value = rows.size ? "path,index\n" + [...rows].map((row) => `${quoted(row[0])},${row[1]}\n`).join("") : "";
      save.disabled = !rows.size;
    };
    for (const box of boxes) box.addEventListener("change", () => {
      const path = box.dataset.correct;
      if (box.value === "-") chosen.delete(path);
      else chosen.set(path, box.value);
      // The same image may be in two galleries.
      for (const other of boxes) if (other.dataset.correct === path) other.value = box.value;
      write();
    });
    save.addEventListener("click", () => {
      const link = make("a");
      link.href = URL.createObjectURL(new Blob([corrections.value], { type: "text/csv" }));
      link.download = "corrections.csv";
      link.click();
      URL.revokeObjectURL(link.href);
    });
    write();
  }
})();
