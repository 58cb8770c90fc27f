// Reads {secret, body (base64), headers} a line, and says with the official library of JavaScript whether it holds.
import { createInterface } from "node:readline";
import { createRequire } from "node:module";

const { Webhook } = createRequire(process.argv[2] + "/")("standardwebhooks");

for await (const line of createInterface({ input: process.stdin })) {
  const { secret, body, headers } = JSON.parse(line);
  let said = "verified";
  try {
    new Webhook(secret).verify(Buffer.from(body, "base64").toString("utf8"), headers);
  } catch (error) {
    said = error.message;
  }
  console.log(JSON.stringify(said));
}
