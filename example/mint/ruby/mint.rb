# frozen_string_literal: true

# Prints a one-time download link: ruby mint.rb https://example.com/report.pdf
#
# DOWNLOAD_SECRET is the secret, as text or as base64:... and the encoded bytes.
require 'jwt'
require 'securerandom'
require 'uri'

TTL = 600

def secret
  text = ENV.fetch('DOWNLOAD_SECRET', '')
  abort 'DOWNLOAD_SECRET is not set' if text.empty?
  text.start_with?('base64:') ? text.delete_prefix('base64:').unpack1('m0') : text
end

def link(address)
  now = Time.now.to_f
  claims = {
    scope: "download:#{URI(address).path}", # percent-encoded, as in the address
    jti: SecureRandom.uuid,
    iat: now.round(3),
    exp: now.to_i + TTL
  }
  "#{address}?download_token=#{JWT.encode(claims, secret, 'HS256')}"
end

abort 'usage: ruby mint.rb <address>' unless ARGV.length == 1
puts link(ARGV.first)
