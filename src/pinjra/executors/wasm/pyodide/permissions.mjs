// Every permission that Deno knows, given up by the calling thread for ever: with --no-prompt none can be asked for again.

const NAMES = ["read", "write", "net", "env", "run", "sys", "ffi", "import"];

export async function revokeAll() {
  for (const name of NAMES) {
    const { state } = await Deno.permissions.revoke({ name });
    if (state === "granted") throw new Error(`the permission ${name} could not be revoked`);
  }
}
