// Vercel's AI SDK, over the Responses API, chat completions, and its client for compatible servers.
import * as ai from "ai";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { z } from "zod";

const options = { baseURL: process.env.OPENAI_BASE_URL, apiKey: process.env.OPENAI_API_KEY };
const openai = createOpenAI(options);
const compatible = createOpenAICompatible({ name: "waybill", supportsStructuredOutputs: true, ...options });
const schema = z.object({ city: z.string() });
const tools = {
  get_weather: ai.tool({ description: "The weather.", inputSchema: schema, execute: async () => "sunny" }),
};
const stopWhen = (ai.stepCountIs ?? ai.isStepCount)(3);
const models = {
  responses: openai("gpt-4o"),
  chat: openai.chat("gpt-4o"),
  compatible: compatible("gpt-4o"),
};

async function tryOut(name, run) {
  let outcome = "passed";
  let detail = "";
  try {
    if (!(await run())) [outcome, detail] = ["failed", "an empty answer"];
  } catch (error) {
    [outcome, detail] = ["failed", `${error.name}: ${error.message}`.slice(0, 300)];
  }
  console.log("CASE " + JSON.stringify({ case: name, outcome, detail }));
}

for (const [name, model] of Object.entries(models)) {
  const ask = { model, prompt: "Hello", maxRetries: 0 };
  await tryOut(`${name}, generateText`, async () => (await ai.generateText(ask)).text);
  await tryOut(`${name}, temperature, topP, seed`, async () =>
    (await ai.generateText({ ...ask, temperature: 0.3, topP: 0.9, seed: 1 })).text);
  await tryOut(`${name}, streamText`, async () => {
    let text = "";
    for await (const piece of ai.streamText(ask).textStream) text += piece;
    return text;
  });
  await tryOut(`${name}, tools in several steps`, async () =>
    (await ai.generateText({ ...ask, tools, stopWhen })).text);
  await tryOut(`${name}, object`, async () =>
    (await ai.generateText({ ...ask, output: ai.Output.object({ schema }) })).output);
}
await tryOut("embedMany", async () =>
  (await ai.embedMany({ model: openai.embedding("embedding"), values: ["a", "b"] })).embeddings.length === 2);
