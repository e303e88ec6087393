// Package sign makes download tokens. The issuer and the command line share it.
//
//	signer, warnings, err := sign.Parse("HS256", kid, secret)
//	var claims sign.Claims
//	claims.Set("scope", jsontext.Value(`"dataset:42"`))
//	claims.Nonce("jti")
//	issued, expires := claims.Stamp(now, 10*time.Minute, time.Millisecond)
//	text, err := signer.Sign("JWT", &claims)
package sign
