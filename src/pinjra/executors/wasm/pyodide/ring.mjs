// Bytes from one thread to another through shared memory, so that the reader can wait for them without giving up its turn.
//
// The reader's thread runs guest code, which can write anything into this memory: the writer checks what it reads.

const WRITTEN = 0, READ = 1, ENDED = 2, RESTING_MS = 1000;

export const make = (size) => ({
  control: new Int32Array(new SharedArrayBuffer(16)),
  bytes: new Uint8Array(new SharedArrayBuffer(size)),
});

// Copy `source` in, waiting for room.
export async function write({ control, bytes }, source) {
  for (let at = 0; at < source.length;) {
    const written = Atomics.load(control, WRITTEN), read = Atomics.load(control, READ);
    const room = bytes.length - ((written - read) | 0);
    if (room <= 0 || room > bytes.length) {
      await Atomics.waitAsync(control, READ, read, RESTING_MS).value;
      continue;
    }
    const start = (written >>> 0) % bytes.length;
    const count = Math.min(room, bytes.length - start, source.length - at);
    bytes.set(source.subarray(at, at + count), start);
    Atomics.store(control, WRITTEN, (written + count) | 0);
    Atomics.notify(control, WRITTEN);
    at += count;
  }
}

export function end({ control }) {
  Atomics.store(control, ENDED, 1);
  Atomics.notify(control, WRITTEN);
}

// Whether there are bytes (or the end), waiting at most so many seconds.
export function hasInput({ control }, seconds) {
  const until = performance.now() + seconds * 1000;
  for (;;) {
    const written = Atomics.load(control, WRITTEN);
    if (written !== Atomics.load(control, READ) || Atomics.load(control, ENDED)) return true;
    const left = until - performance.now();
    if (!(left > 0)) return false;
    Atomics.wait(control, WRITTEN, written, Math.min(left, RESTING_MS));
  }
}

// Fill the front of `target`; return how much, 0 at the end.
export function read({ control, bytes }, target) {
  while (!hasInput({ control }, RESTING_MS / 1000));
  const read = Atomics.load(control, READ);
  const start = (read >>> 0) % bytes.length;
  const waiting = (Atomics.load(control, WRITTEN) - read) | 0;
  const count = Math.min(waiting, bytes.length - start, target.length);
  target.set(bytes.subarray(start, start + count));
  Atomics.store(control, READ, (read + count) | 0);
  Atomics.notify(control, READ);
  return count;
}
