// Drives headless Chromium: page.mjs CHROMIUM URL FOLDER. Prints what it saw as JSON; pictures are left in FOLDER.
import puppeteer from "puppeteer-core";

const [chromium, url, folder] = process.argv.slice(2);
const STEP = 20_000;
const sessions = new Map();
const seen = { hosts: new Set(), faults: [] };

const browser = await puppeteer.launch({
  executablePath: chromium,
  headless: true,
  // As root, in containers: the sandbox is not to be had, and the page is our own.
  args: ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"],
  timeout: 60_000,
});
try {
  await open("/", async (page) => {
    seen.welcome = { title: await page.title(), links: await page.$$eval("a", (links) => links.map((link) => link.getAttribute("href"))) };
    await page.screenshot({ path: `${folder}/welcome.png` });
  });
  // Every time as the first: without a cache.
  for (const attempt of [1, 2, 3, 4, 5]) {
    await open("/docs", async (page, milliseconds) => {
      (seen.loads ??= []).push({ milliseconds, busyMilliseconds: await busy(page) });
      if (attempt === 5) await order(page);
    });
  }
} finally {
  await browser.close();
}
console.log(JSON.stringify({ ...seen, hosts: [...seen.hosts] }));

// Calls back when the page shows what it is about.
async function open(path, look) {
  const page = await browser.newPage();
  page.setDefaultTimeout(STEP);
  await page.setViewport({ width: 1200, height: 1600 });
  await page.setCacheEnabled(false);
  page.on("request", (request) => {
    if (!request.url().startsWith("data:")) seen.hosts.add(new URL(request.url()).host);
  });
  page.on("requestfailed", (request) => seen.faults.push(`${request.url()}: ${request.failure()?.errorText}`));
  page.on("response", (response) => response.status() >= 400 && seen.faults.push(`${response.url()}: ${response.status()}`));
  page.on("console", (message) => ["error", "warn"].includes(message.type()) && seen.faults.push(`console: ${message.text()}`));
  page.on("pageerror", (error) => seen.faults.push(`page: ${error}`));
  const devTools = await page.createCDPSession();
  await devTools.send("Performance.enable", { timeDomain: "threadTicks" });
  sessions.set(page, devTools);
  const started = performance.now();
  await page.goto(url + path, { waitUntil: "load", timeout: STEP });
  if (path === "/docs") await page.waitForSelector(".opblock");
  try {
    await look(page, Math.round(performance.now() - started));
  } catch (error) {
    await page.screenshot({ path: `${folder}/failure.png` });
    throw error;
  }
  await page.close();
}

// How long the page's thread has worked so far, waiting for its turn on the processor not counted.
async function busy(page) {
  const { metrics } = await sessions.get(page).send("Performance.getMetrics");
  return Math.round(1000 * metrics.find(({ name }) => name === "TaskDuration").value);
}

// Authorize, Try it out, Execute: as a person does it.
async function order(page) {
  seen.operations = await page.$$eval(".opblock-summary-path", (paths) => paths.map((path) => path.textContent.replaceAll("\u200b", "")));
  await page.click(".btn.authorize");
  await page.waitForSelector(".auth-container input");
  await page.type(".auth-container input", "apitest");
  await page.click(".auth-btn-wrapper .authorize");
  // "Authorized", instead of what was typed.
  await page.waitForSelector(".auth-container h6");
  await page.click(".modal-ux .close-modal");
  const operation = "#operations-order-placeOrder";
  await page.click(`${operation} .opblock-summary-control`);
  await page.waitForSelector(`${operation} .try-out__btn`);
  // Pages may be set up to let people try without asking for it.
  if (!(await page.$(`${operation} .execute`))) await page.click(`${operation} .try-out__btn`);
  await page.waitForSelector(`${operation} .body-param__text`);
  seen.body = JSON.parse(await page.$eval(`${operation} .body-param__text`, (area) => area.value));
  await page.click(`${operation} .execute`);
  const live = `${operation} .live-responses-table .response`;
  await page.waitForSelector(`${live} .response-col_status`);
  seen.status = await page.$eval(`${live} .response-col_status`, (cell) => cell.textContent.trim());
  seen.answer = JSON.parse(await page.$eval(`${live} .highlight-code code, ${live} .microlight`, (code) => code.textContent));
  await page.$eval(`${operation} .execute-wrapper, ${operation} .btn-group`, (buttons) => buttons.scrollIntoView());
  await page.screenshot({ path: `${folder}/order.png` });
}
