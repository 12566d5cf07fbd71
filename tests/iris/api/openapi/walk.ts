// The README's walk with the types that a generator makes of the OpenAPI document. It prints the statuses of the numbers.
import type { paths } from "./iris.js";

type Login = paths["/api/accounts/login/"]["post"];
type Create = paths["/api/system/campaigns/"]["post"];
type Begin = paths["/api/system/campaigns/{campaign_id}/begin/"]["post"];
type Numbers = paths["/api/system/campaigns/number/{campaign_id}/"]["get"];
type Body<O extends { requestBody?: { content: { "application/json": unknown } } }> =
  NonNullable<O["requestBody"]>["content"]["application/json"];

const [base, step, argument] = process.argv.slice(2) as [string, string, string];
let token = process.env["TOKEN"] ?? "";

async function call<Answer>(method: string, path: string, body?: unknown): Promise<Answer> {
  const headers: Record<string, string> = { "Content-Type": "application/json" };
  if (token) headers["Authorization"] = `Bearer ${token}`;
  const response = await fetch(base + path, { method, headers, ...(body ? { body: JSON.stringify(body) } : {}) });
  if (!response.ok) throw new Error(`${response.status} ${response.headers.get("X-Error-Code")}`);
  return (await response.json()) as Answer;
}

async function begin(): Promise<void> {
  const credentials: Body<Login> = { email: "sita@example.com", password: "secret-password" };
  const login = await call<Login["responses"]["200"]["content"]["application/json"]>(
    "POST", "/api/accounts/login/", credentials);
  token = login.data.token.access;
  const plan: Body<Create> = { name: "Dinner", services: "PHONE", individual_number: [9801234567, 9801239901] };
  const created = await call<Create["responses"]["201"]["content"]["application/json"]>(
    "POST", "/api/system/campaigns/", plan);
  const details = created.data.details;
  const campaign = Array.isArray(details) ? details[0]! : details;
  const message: Body<Begin> = { message: "नमस्कार, रात्रिभोज पाँच बजे छ।" };
  await call<Begin["responses"]["200"]["content"]["application/json"]>(
    "POST", `/api/system/campaigns/${campaign.id}/begin/`, message);
  console.log(JSON.stringify({ campaign: campaign.id, token }));
}

async function show(campaign: string): Promise<void> {
  const listed = await call<Numbers["responses"]["200"]["content"]["application/json"]>(
    "GET", `/api/system/campaigns/number/${campaign}/`);
  console.log(JSON.stringify(listed.data["number-lists"].map((one) => one.status)));
}

await (step === "begin" ? begin() : show(argument));
