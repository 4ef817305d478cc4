// The shop's API: orders in PostgreSQL, a counter and a queue in Redis. CommonJS, because the distribution's
// packages of pg and redis are found by `require`.
const { readFileSync } = require("node:fs");
const { createServer } = require("node:http");
const { hostname } = require("node:os");
const { Pool } = require("pg");
const { createClient } = require("redis");

const password = readFileSync("/run/secrets/db_password", "utf8").trim();
const pool = new Pool({ database: "shop", password, max: 4, connectionTimeoutMillis: 3_000 });
pool.on("error", (error) => console.error("database:", error.message));
const redis = createClient({ url: `redis://${process.env.REDIS_HOST ?? "redis"}:6379` });
redis.on("error", (error) => console.error("redis:", error.message));

async function bodyOf(request) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  return JSON.parse(Buffer.concat(chunks).toString());
}

async function answer(request) {
  if (request.url === "/healthz") {
    await pool.query("SELECT 1");
    return { ok: true };
  }
  if (request.method === "POST") {
    const { item } = await bodyOf(request);
    const { rows } = await pool.query("INSERT INTO orders (item) VALUES ($1) RETURNING id", [item]);
    await redis.rPush("parcels", String(rows[0].id));
    return rows[0];
  }
  const hits = await redis.incr("hits");
  const { rows } = await pool.query("SELECT id, item FROM orders ORDER BY id DESC LIMIT 20");
  return { orders: rows, hits, servedBy: hostname() };
}

const server = createServer(async (request, response) => {
  try {
    const body = await answer(request);
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify(body));
  } catch (error) {
    console.error(error.message);
    response.writeHead(503).end(JSON.stringify({ error: error.message }));
  }
});

redis.connect().then(() => server.listen(8080, () => console.log("api listens on 8080")));
process.once("SIGTERM", () => server.close(() => process.exit(0)));
