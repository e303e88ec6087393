// Prints a one-time download link: node jsonwebtoken.mjs https://example.com/report.pdf
//
// DOWNLOAD_SECRET is the secret, as text or as base64:... and the encoded bytes.
import { randomUUID } from 'node:crypto'
import jwt from 'jsonwebtoken'

const ttl = 600

function secret() {
	const text = process.env.DOWNLOAD_SECRET
	if (!text) throw new Error('DOWNLOAD_SECRET is not set')
	return text.startsWith('base64:') ? Buffer.from(text.slice(7), 'base64') : Buffer.from(text)
}

function link(address) {
	const now = Date.now()
	const claims = {
		scope: 'download:' + new URL(address).pathname, // percent-encoded, as in the address
		jti: randomUUID(),
		iat: now / 1000,
		exp: Math.floor(now / 1000) + ttl,
	}
	return address + '?download_token=' + jwt.sign(claims, secret(), { algorithm: 'HS256' })
}

console.log(link(process.argv[2]))
