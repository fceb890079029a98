// Signs requests with AWS Signature Version 4. The hash is written out here because browsers offer `crypto.subtle` only
// to pages from https or from the same machine, and a console is also opened by plain http from another one.

const REGION = "us-east-1";
const SERVICE = "dynamodb";
const ALGORITHM = "AWS4-HMAC-SHA256";

/** The round constants of SHA-256. Source: FIPS 180-4, section 4.2.2. */
const ROUNDS = new Uint32Array([
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
]);
const START = [
    0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
];
const BLOCK_BYTES = 64;

const encoder = new TextEncoder();
const bytesOf = (data) => (typeof data === "string" ? encoder.encode(data) : data);
const rotate = (word, by) => (word >>> by) | (word << (32 - by));

/** Fills a block up as the standard says: a bit, zeros, and the length in bits. */
function pad(bytes) {
    const length = Math.ceil((bytes.length + 9) / BLOCK_BYTES) * BLOCK_BYTES;
    const padded = new Uint8Array(length);
    padded.set(bytes);
    padded[bytes.length] = 0x80;
    const view = new DataView(padded.buffer);
    view.setUint32(length - 8, Math.floor(bytes.length / 0x20000000));
    view.setUint32(length - 4, bytes.length << 3);
    return view;
}

function schedule(words, view, at) {
    for (let i = 0; i < 16; i += 1) {
        words[i] = view.getUint32(at + 4 * i);
    }
    for (let i = 16; i < 64; i += 1) {
        const a = words[i - 15];
        const b = words[i - 2];
        const low = rotate(a, 7) ^ rotate(a, 18) ^ (a >>> 3);
        const high = rotate(b, 17) ^ rotate(b, 19) ^ (b >>> 10);
        words[i] = words[i - 16] + low + words[i - 7] + high;
    }
}

function compress(hash, words) {
    let [a, b, c, d, e, f, g, h] = hash;
    for (let i = 0; i < 64; i += 1) {
        const high = rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25);
        const first = (h + high + ((e & f) ^ (~e & g)) + ROUNDS[i] + words[i]) | 0;
        const low = rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22);
        const second = (low + ((a & b) ^ (a & c) ^ (b & c))) | 0;
        h = g;
        g = f;
        f = e;
        e = (d + first) | 0;
        d = c;
        c = b;
        b = a;
        a = (first + second) | 0;
    }
    [a, b, c, d, e, f, g, h].forEach((word, i) => { hash[i] += word; });
}

/** The SHA-256 of bytes or of a text, as bytes. */
export function sha256(data) {
    const view = pad(bytesOf(data));
    const hash = new Uint32Array(START);
    const words = new Uint32Array(64);
    for (let at = 0; at < view.byteLength; at += BLOCK_BYTES) {
        schedule(words, view, at);
        compress(hash, words);
    }
    const result = new DataView(new ArrayBuffer(32));
    hash.forEach((word, i) => result.setUint32(4 * i, word));
    return new Uint8Array(result.buffer);
}

function joined(left, right) {
    const both = new Uint8Array(left.length + right.length);
    both.set(left);
    both.set(right, left.length);
    return both;
}

/** The HMAC-SHA-256 of a message. */
export function hmac(key, message) {
    const keyBytes = bytesOf(key);
    const block = new Uint8Array(BLOCK_BYTES);
    block.set(keyBytes.length > BLOCK_BYTES ? sha256(keyBytes) : keyBytes);
    const inner = sha256(joined(block.map((byte) => byte ^ 0x36), bytesOf(message)));
    return sha256(joined(block.map((byte) => byte ^ 0x5c), inner));
}

/** Bytes in lower-case hexadecimal digits. */
export const hex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");

let derived = { from: null, key: null };

/** The key of a day, which is kept: most of the work of signing is in it. */
function signingKey(secret, day) {
    const from = `${day} ${secret}`;
    if (derived.from !== from) {
        derived = { from, key: [day, REGION, SERVICE, "aws4_request"].reduce(hmac, `AWS4${secret}`) };
    }
    return derived.key;
}

const momentOf = (millis) => new Date(millis).toISOString().replace(/[-:]|\.\d+/g, "");
const scopeOf = (day) => `${day}/${REGION}/${SERVICE}/aws4_request`;

/**
 * The headers of a signed `POST /`. `host` is signed but not returned: the browser sends it by itself.
 */
export function signedHeaders({ host, target, body, keyId, secret, millis }) {
    const moment = momentOf(millis);
    const day = moment.slice(0, 8);
    const headers = {
        "content-type": "application/x-amz-json-1.0",
        host,
        "x-amz-date": moment,
        "x-amz-target": target,
    };
    const names = Object.keys(headers).join(";");
    const lines = Object.entries(headers).map(([name, value]) => `${name}:${value}\n`).join("");
    const request = `POST\n/\n\n${lines}\n${names}\n${hex(sha256(body))}`;
    const scope = scopeOf(day);
    const text = `${ALGORITHM}\n${moment}\n${scope}\n${hex(sha256(request))}`;
    const signature = hex(hmac(signingKey(secret, day), text));
    delete headers.host;
    headers.authorization = `${ALGORITHM} Credential=${keyId}/${scope}, SignedHeaders=${names}, Signature=${signature}`;
    return headers;
}
