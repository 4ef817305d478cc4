// The shop's front: a page that shows the orders and takes new ones through the API.
import { createServer } from "node:http";
import { hostname } from "node:os";

const api = process.env.API_URL ?? "http://api:8080";
const greeting = process.env.GREETING ?? "Welcome";

const escape = (text) =>
  String(text).replace(/[&<>"]/g, (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[c]);

async function page() {
  const { orders, hits, servedBy } = await (await fetch(`${api}/orders`)).json();
  const list = orders.map((order) => `<li>${order.id}: ${escape(order.item)}</li>`).join("");
  return `<!doctype html><meta charset="utf-8"><title>shop</title><h1>${escape(greeting)}</h1>
<form method="post" action="/orders"><input name="item" value="a book"><button>Order</button></form>
<ul>${list}</ul><p>visit ${hits}, page by ${hostname()}, data by ${escape(servedBy)}</p>`;
}

const server = createServer(async (request, response) => {
  try {
    if (request.url === "/healthz") return response.end("ok\n");
    if (request.method === "POST") {
      const chunks = [];
      for await (const chunk of request) chunks.push(chunk);
      const item = new URLSearchParams(Buffer.concat(chunks).toString()).get("item") ?? "";
      const answer = await fetch(`${api}/orders`, { method: "POST", body: JSON.stringify({ item }) });
      if (!answer.ok) throw new Error(`the API answered ${answer.status}`);
      return response.writeHead(303, { location: "/" }).end();
    }
    response.setHeader("content-type", "text/html; charset=utf-8");
    response.end(await page());
  } catch (error) {
    console.error(error);
    response.writeHead(502).end("the shop is not ready; try again\n");
  }
});
server.listen(8080, () => console.log("web listens on 8080"));
process.once("SIGTERM", () => server.close(() => process.exit(0)));
