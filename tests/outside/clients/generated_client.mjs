// Clients of /v1 that openapi-ts and openapi-typescript generate from the document: TypeScript checks a program that
// submits a job and waits for its end, and Node.js runs it.
import { execFileSync } from "node:child_process";
import { mkdtempSync, writeFileSync } from "node:fs";

const root = process.env.OPENAI_BASE_URL.replace("/openai/v1", "");
const folder = mkdtempSync("generated-");
writeFileSync(`${folder}/openapi.json`, await (await fetch(`${root}/openapi.json`)).text());
writeFileSync(`${folder}/package.json`, '{"type": "module"}');
const body = `{ capability: "models.chat" as const, input: { model: "gpt-4o", messages: [{ role: "user", content: "Hello" }] } }`;

const programs = {
  "@hey-api/openapi-ts": `
import { client } from "./hey/client.gen";
import { readJob, submitJob } from "./hey/sdk.gen";
client.setConfig({ baseUrl: "${root}", auth: process.env.OPENAI_API_KEY });
const made = await submitJob({ body: ${body}, throwOnError: true });
let state = "";
while (!["succeeded", "failed"].includes(state)) {
  const job = await readJob({ path: { job_id: made.data.id }, query: { wait: 30 }, throwOnError: true });
  state = job.data.state;
}
console.log(state);
`,
  "openapi-typescript": `
import createClient from "openapi-fetch";
import type { paths } from "./schema";
const headers = { authorization: "Bearer " + process.env.OPENAI_API_KEY };
const client = createClient<paths>({ baseUrl: "${root}", headers });
const made = await client.POST("/v1/jobs", { body: ${body} });
const path = { job_id: made.data!.id };
let state = "";
while (!["succeeded", "failed"].includes(state)) {
  state = (await client.GET("/v1/jobs/{job_id}", { params: { path, query: { wait: 30 } } })).data!.state;
}
console.log(state);
`,
};
const generators = {
  "@hey-api/openapi-ts": ["openapi-ts", "-i", `./${folder}/openapi.json`, "-o", `${folder}/hey`, "--silent"],
  "openapi-typescript": ["openapi-typescript", `${folder}/openapi.json`, "--default-non-nullable", "false", "-o", `${folder}/schema.ts`],
};
const options = ["--noEmit", "--strict", "--skipLibCheck", "--target", "esnext", "--module", "esnext"];

for (const [name, program] of Object.entries(programs)) {
  let outcome = "passed";
  let detail = "";
  try {
    execFileSync("npx", generators[name], { stdio: "pipe" });
    const file = `${folder}/${name.replace(/\W/g, "_")}.ts`;
    writeFileSync(file, program);
    execFileSync("npx", ["tsc", ...options, "--moduleResolution", "bundler", "--types", "node", file], { stdio: "pipe" });
    const said = execFileSync("npx", ["tsx", file], { stdio: "pipe" }).toString().trim();
    if (said !== "succeeded") [outcome, detail] = ["failed", said];
  } catch (error) {
    [outcome, detail] = ["failed", `${error.message} ${error.stdout ?? ""}`.slice(0, 600)];
  }
  console.log("\nCASE " + JSON.stringify({ case: `${name}: generate, check, submit and poll`, outcome, detail }));
}
