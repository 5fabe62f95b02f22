// Does what it is told with one npm release, and prints a line of JSON for each act.
//
//     node.mjs MAJOR ACT…
//
// An act is `send:TEXT`, `once:TEXT` (a send without the SDK's own retries), `until:TEXT` (what an application does that
// sends again until it is accepted), `read` (the message that was sent last) or `together:TEXT,TEXT,…` (sends, eight at a
// time, with the SDK's own retries).

const major = Number(process.argv[2]);
// How often an application sends again.
const most = 10;
// How many sends are under way at a time.
const atATime = 8;
const module = await import(`courier${major}`);
const message = (text) => ({ to: { user_id: "u-1", email: "a@example.com" }, content: { title: "t", body: text } });

// Majors 1 and 2 know the older form of a send only.
function early() {
  const client = module.CourierClient();
  const params = (text) => ({ eventId: "welcome", recipientId: "u-1", profile: { email: "a@example.com" }, data: { text } });
  return { send: (text) => client.send(params(text)), read: (id) => client.getMessage(id) };
}

function byHand() {
  const client = module.CourierClient();
  return { send: (text) => client.send({ message: message(text) }), read: (id) => client.getMessage(id) };
}

function byFern() {
  const client = new module.CourierClient({ environment: process.env.SUITE_BASE_URL });
  const options = (once) => (once ? { maxRetries: 0 } : undefined);
  const to = { userId: "u-1", email: "a@example.com" };
  const send = (text, once) => client.send({ message: { to, content: { title: "t", body: text } } }, options(once));
  return { send, read: (id) => client.messages.get(id) };
}

function byStainless() {
  const client = new module.default();
  const options = (once) => (once ? { maxRetries: 0 } : undefined);
  const send = (text, once) => client.send.message({ message: message(text) }, options(once));
  return { send, read: (id) => client.messages.retrieve(id) };
}

function told(error) {
  const status = error.status ?? error.statusCode ?? error.response?.status ?? null;
  const data = [error.data, error.body, error.error, error.response?.data].map((part) => JSON.stringify(part) ?? "");
  return { class: error.constructor.name, status, message: error.message, text: [error.message, ...data].join(" ") };
}

async function outcome(deed) {
  try {
    return { value: (await deed()) ?? null };
  } catch (error) {
    return { error: told(error) };
  }
}

async function together(texts) {
  const ended = {};
  const left = [...texts];
  const work = async () => {
    for (let text; (text = left.shift()) !== undefined; ) ended[text] = await outcome(() => sdk.send(text));
  };
  await Promise.all(Array.from({ length: atATime }, work));
  return ended;
}

const sdk = major < 3 ? early() : major < 6 ? byHand() : major === 6 ? byFern() : byStainless();
let last = "";
for (const act of process.argv.slice(3)) {
  const [kind, text] = act.split(":");
  if (kind === "together") {
    console.log(JSON.stringify({ act: kind, value: await together(text.split(",")) }));
    continue;
  }
  let line, tries = 0;
  while (line?.value === undefined && tries < (kind === "until" ? most : 1)) {
    tries += 1;
    line = await outcome(() => (kind === "read" ? sdk.read(last) : sdk.send(text, kind === "once")));
  }
  last = line.value?.requestId ?? line.value?.messageId ?? last;
  console.log(JSON.stringify({ act, tries, ...line }));
}
// Major 6 forgets to stop its clock of 60 s when a connection breaks.
process.stdout.write("", () => process.exit(0));
