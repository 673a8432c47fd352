// <dl-line points="-0.5:22.2 0.5:25.6">: a line through a few records, two sliders, the loss.
// What stands inside the element is shown where scripts do not run.
(() => {
  const predict = (x, w, b) => w * x + b;
  const mse = (points, w, b) => points.reduce((sum, [x, y]) => sum + (predict(x, w, b) - y) ** 2, 0) / points.length;
  const sliders = { w: ["weight w", 0, 6, "minutes per mile"], b: ["bias b", 0, 30, "minutes"] };
  const height = 260, left = 38, bottom = 40, top = 8, yMax = 40;
  const signed = (value) => value.toFixed(1).replace("-", "−");

  class Line extends HTMLElement {
    static predict = predict;
    static mse = mse;

    connectedCallback() {
      this.points = this.getAttribute("points").trim().split(/\s+/).map((point) => point.split(":").map(Number));
      const xs = this.points.map(([x]) => x), low = Math.min(...xs), span = Math.max(...xs) - low;
      this.range = [low - span / 2, low + 2 * span];
      const slider = ([name, [label, min, max, unit]]) =>
        `<label><span>${label}</span><input type="range" name="${name}" min="${min}" max="${max}" step="0.1" value="0"><output></output><small>${unit}</small></label>`;
      this.innerHTML = `<svg role="img"></svg><div class="controls">${Object.entries(sliders).map(slider).join("")}</div>
        <p>Mean squared error: <output class="loss"></output> squared minutes</p>`;
      this.addEventListener("input", () => this.draw());
      new ResizeObserver(() => this.draw()).observe(this);
    }

    draw() {
      const [w, b] = [...this.querySelectorAll("input")].map((input) => {
        input.nextElementSibling.textContent = Number(input.value).toFixed(1);
        return Number(input.value);
      });
      const loss = mse(this.points, w, b).toFixed(2), width = this.clientWidth, [x0, x1] = this.range;
      const px = (x) => left + ((x - x0) / (x1 - x0)) * (width - left - 16);
      const py = (y) => height - bottom - (y / yMax) * (height - bottom - top);
      const line = (kind, a, c, d, e) => `<line class="${kind}" x1="${px(a)}" y1="${py(c)}" x2="${px(d)}" y2="${py(e)}"/>`;
      const text = (x, y, anchor, words) => `<text x="${x}" y="${y}" text-anchor="${anchor}">${words}</text>`;
      const parts = [0, 10, 20, 30, 40].map((y) => line("grid", x0, y, x1, y) + text(left - 8, py(y) + 4, "end", y));
      for (let x = x0; x <= x1; x += (x1 - x0) / 5) parts.push(text(px(x), height - bottom + 18, "middle", signed(x)));
      parts.push(text((left + width) / 2, height - 4, "middle", "miles from the average distance"), text(left + 6, top + 14, "start", "minutes"));
      for (const [x, y] of this.points) parts.push(line("error", x, y, x, predict(x, w, b)));
      parts.push(line("model", x0, predict(x0, w, b), x1, predict(x1, w, b)));
      for (const [x, y] of this.points) parts.push(`<circle cx="${px(x)}" cy="${py(y)}" r="5"/>`);
      const svg = this.querySelector("svg");
      svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
      svg.setAttribute("aria-label", `The line ${w.toFixed(1)} x + ${b.toFixed(1)}; mean squared error ${loss}`);
      svg.innerHTML = parts.join("");
      this.querySelector(".loss").textContent = loss;
    }
  }
  customElements.define("dl-line", Line);
})();
