<?php
// Prints a one-time download link: php mint.php https://example.com/report.pdf
//
// DOWNLOAD_SECRET is the secret, as text or as base64:... and the encoded bytes.

const TTL = 600;

function secret(): string
{
    $text = getenv('DOWNLOAD_SECRET');
    if ($text === false || $text === '') {
        throw new RuntimeException('DOWNLOAD_SECRET is not set');
    }
    if (!str_starts_with($text, 'base64:')) {
        return $text;
    }
    $bytes = base64_decode(substr($text, 7), strict: true);
    return $bytes === false ? throw new RuntimeException('DOWNLOAD_SECRET is not base64') : $bytes;
}

function base64url(string $bytes): string
{
    return rtrim(strtr(base64_encode($bytes), '+/', '-_'), '=');
}

function sign(array $claims): string
{
    $parts = array_map(
        fn (array $part) => base64url(json_encode($part, JSON_THROW_ON_ERROR)),
        [['alg' => 'HS256', 'typ' => 'JWT'], $claims],
    );
    $text = implode('.', $parts);
    return $text . '.' . base64url(hash_hmac('sha256', $text, secret(), binary: true));
}

function mint(string $address): string
{
    $now = microtime(true);
    return $address . '?download_token=' . sign([
        'scope' => 'download:' . parse_url($address, PHP_URL_PATH), // percent-encoded, as in the address
        'jti' => bin2hex(random_bytes(16)),
        'iat' => round($now, 3),
        'exp' => (int) $now + TTL,
    ]);
}

if ($argc !== 2) {
    fwrite(STDERR, "usage: php mint.php <address>\n");
    exit(2);
}
try {
    echo mint($argv[1]), "\n";
} catch (RuntimeException $e) {
    fwrite(STDERR, 'mint: ' . $e->getMessage() . "\n");
    exit(1);
}
