using System.Security.Claims;
using System.Text.Encodings.Web;
using Microsoft.AspNetCore.Authentication;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Microsoft.IdentityModel.JsonWebTokens;
using Microsoft.IdentityModel.Tokens;

namespace PhoneBill.Contracts;

/// <summary>Plain signed tokens (JWT, HMAC-SHA256): the Auth service makes them, every service checks them.</summary>
public sealed class SignedTokens
{
    private const string Issuer = "phonebill";
    private static readonly JsonWebTokenHandler Handler = new();
    private readonly SymmetricSecurityKey _key;
    private readonly TimeProvider _time;

    public SignedTokens(IConfiguration configuration, TimeProvider time)
    {
        var key = configuration["Tokens:Key"] ?? "";
        if (key.Length < 32)
            throw new InvalidOperationException(
                "Tokens:Key must have at least 32 characters, the same for all services. Set the environment variable Tokens__Key."
            );
        _key = new SymmetricSecurityKey(System.Text.Encoding.UTF8.GetBytes(key));
        _time = time;
    }

    public static TimeSpan Lifetime { get; } = TimeSpan.FromMinutes(30);

    public string Issue(User user) =>
        Handler.CreateToken(
            new SecurityTokenDescriptor
            {
                Issuer = Issuer,
                Audience = Issuer,
                Expires = _time.GetUtcNow().UtcDateTime + Lifetime,
                Subject = new ClaimsIdentity([new(JwtRegisteredClaimNames.Sub, user.Id), new("role", user.Role)]),
                SigningCredentials = new SigningCredentials(_key, SecurityAlgorithms.HmacSha256),
            }
        );

    public Task<TokenValidationResult> ValidateAsync(string token) =>
        Handler.ValidateTokenAsync(
            token,
            new TokenValidationParameters
            {
                ValidIssuer = Issuer,
                ValidAudience = Issuer,
                IssuerSigningKey = _key,
                NameClaimType = JwtRegisteredClaimNames.Sub,
                RoleClaimType = "role",
            }
        );
}

/// <summary>Reads <c>Authorization: Bearer …</c>.</summary>
public sealed class BearerHandler(
    IOptionsMonitor<AuthenticationSchemeOptions> options,
    ILoggerFactory loggers,
    UrlEncoder encoder,
    SignedTokens tokens
) : AuthenticationHandler<AuthenticationSchemeOptions>(options, loggers, encoder)
{
    public const string SchemeName = "Bearer";

    protected override async Task<AuthenticateResult> HandleAuthenticateAsync()
    {
        var header = Request.Headers.Authorization.ToString();
        if (!header.StartsWith("Bearer ", StringComparison.OrdinalIgnoreCase))
            return AuthenticateResult.NoResult();

        var result = await tokens.ValidateAsync(header["Bearer ".Length..]);
        return result.IsValid
            ? AuthenticateResult.Success(new AuthenticationTicket(new ClaimsPrincipal(result.ClaimsIdentity), BearerHandler.SchemeName))
            : AuthenticateResult.Fail(result.Exception);
    }

    protected override async Task HandleChallengeAsync(AuthenticationProperties properties)
    {
        Response.Headers.WWWAuthenticate = "Bearer";
        await Inputs
            .Unauthorized("Send the token from POST /api/login of the Auth service as 'Authorization: Bearer …'. It lasts 30 minutes.")
            .ExecuteAsync(Context);
    }
}
