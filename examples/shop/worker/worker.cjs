// Packs parcels: takes order numbers from the queue, one after another.
const { createClient } = require("redis");

const redis = createClient({ url: `redis://${process.env.REDIS_HOST ?? "redis"}:6379` });
redis.on("error", (error) => console.error("redis:", error.message));

let stopping = false;
process.once("SIGTERM", () => {
  stopping = true;
});

async function work() {
  await redis.connect();
  console.log("worker waits for parcels");
  while (!stopping) {
    const parcel = await redis.blPop("parcels", 1);
    if (parcel) console.log(`packed order ${parcel.element}`);
  }
  await redis.quit();
}

work().catch((error) => {
  console.error(error);
  process.exit(1);
});
