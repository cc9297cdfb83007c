using Microsoft.Extensions.Options;

namespace Onggi.Tokens;

/// <summary>How tokens are issued and judged. Keys are set in code: <c>options.TokenKeys</c>.</summary>
public sealed class TokenOptions
{
    /// <summary>Who issues our tokens (<c>iss</c>), the same in all services. Tokens are off while it is empty.</summary>
    /// <value>Default empty.</value>
    public string Issuer { get; set; } = "";

    /// <summary>Which audiences (<c>aud</c>) this service takes tokens for; the first is written into tokens that it issues without saying another.</summary>
    /// <value>Default empty: the issuer's name.</value>
    public IList<string> Audiences { get; set; } = [];

    /// <summary>The service whose token families of the catalog are meant, where several services have some.</summary>
    /// <value>Default <c>null</c>: the one that has.</value>
    public string? Owner { get; set; }

    /// <summary>How long an access token is good for; at most the <c>ttl</c> of the family <c>…:token:blacklist:{…}</c>.</summary>
    /// <value>Default 15 min, or that <c>ttl</c> where it is shorter.</value>
    public TimeSpan AccessLifetime { get; set; } = TimeSpan.FromMinutes(15);

    /// <summary>How long a refresh token lives unused. Its family ends in any case after the <c>ttl</c> of <c>…:token:refresh:{…}</c>.</summary>
    /// <value>Default 14 days, or that <c>ttl</c> where it is shorter.</value>
    public TimeSpan RefreshIdle { get; set; } = TimeSpan.FromDays(14);

    /// <summary>For how long a refresh token that was just used is answered again, with the same successor: for tabs that race and replies that were lost.</summary>
    /// <value>Default 30 s.</value>
    public TimeSpan RefreshGrace { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>By how much the time may be off when a token is judged. It is Redis's time, so this covers the way there and servers that differ.</summary>
    /// <value>Default 30 s; at most 5 min, for so long after its expiry a revoked token stays on the blacklist.</value>
    public TimeSpan ClockSkew { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>The secret that refresh tokens are authenticated with, the same in all processes that refresh; at least 32 characters. Never logged.</summary>
    /// <value>Default <c>null</c>: this service neither issues nor takes refresh tokens.</value>
    public string? RefreshSecret { get; set; }

    /// <summary>Secrets that were in use before and are still taken.</summary>
    /// <value>Default empty.</value>
    public IList<string> PreviousRefreshSecrets { get; set; } = [];

    /// <summary>The most refresh families (signed-in devices) that one user has; the one that would end first makes room.</summary>
    /// <value>Default 100.</value>
    public int MaxFamilies { get; set; } = 100;

    /// <summary>How many of its own revocations a process remembers, to assert them again after a failover. The oldest are forgotten first, with a warning.</summary>
    /// <value>Default 10,000.</value>
    public int RememberedRevocations { get; set; } = 10_000;

    /// <summary>Whether a token that is in order is taken while Redis cannot be asked whether it was revoked; the verdict says so (<see cref="TokenVerdict.IsConfirmed"/>). <c>false</c>: the caller gets the exception.</summary>
    /// <value>Default <c>false</c>.</value>
    public bool AcceptUnconfirmed { get; set; }

    /// <summary>Whether <c>auth.token_issued</c> is published. It costs Redis one command for each token.</summary>
    /// <value>Default <c>true</c>.</value>
    public bool PublishIssued { get; set; } = true;

    /// <summary>Other issuers whose tokens are taken, and can be revoked here.</summary>
    /// <value>Default empty.</value>
    public IList<ForeignIssuer> Foreign { get; set; } = [];
}

/// <summary>An issuer that is not us.</summary>
public sealed class ForeignIssuer
{
    /// <summary>Its name in the tokens (<c>iss</c>), exactly. Required.</summary>
    public string Issuer { get; set; } = "";

    /// <summary>The audiences that its tokens may have. Required.</summary>
    public IList<string> Audiences { get; set; } = [];

    /// <summary>Its public keys as a JWKS document. Required. This library fetches nothing: hand over what you fetched.</summary>
    public string Jwks { get; set; } = "";

    /// <summary>Which types (<c>typ</c>) its tokens may have.</summary>
    /// <value>Default <c>at+jwt</c> and <c>JWT</c>.</value>
    public IList<string> Types { get; set; } = [];

    /// <summary>Whether its subjects are the same people as ours: a sign-out everywhere of a user then ends its tokens too.</summary>
    /// <value>Default <c>false</c>: the same name there is somebody else.</value>
    public bool SharesSubjects { get; set; }
}

/// <summary>Finds the mistakes in <see cref="TokenOptions"/>.</summary>
internal static class TokenOptionsValidator
{
    private const int LeastSecret = 32;

    /// <summary>The longest skew that any process may allow; a revoked token stays on the blacklist for so long after its expiry, whatever the process that revoked it allows.</summary>
    public static readonly TimeSpan MaxSkew = TimeSpan.FromMinutes(5);

    public static void Validate(TokenOptions options, string path, ValidateOptionsResultBuilder result)
    {
        if (options.ClockSkew < TimeSpan.Zero || options.ClockSkew > MaxSkew)
            result.AddError(
                $"is {options.ClockSkew}, but a revoked token is remembered for {MaxSkew} after its expiry and not longer. Write a time from 00:00:00 to {MaxSkew}, for example 00:00:30.",
                $"{path}:{nameof(TokenOptions.ClockSkew)}"
            );
        CheckPositive(options.AccessLifetime, nameof(TokenOptions.AccessLifetime), "00:15:00", path, result);
        CheckPositive(options.RefreshIdle, nameof(TokenOptions.RefreshIdle), "14.00:00:00", path, result);
        if (options.RefreshGrace < TimeSpan.FromSeconds(1) || options.RefreshGrace > TimeSpan.FromMinutes(5))
            result.AddError(
                $"is {options.RefreshGrace}. Below 00:00:01 a reply that is lost signs the user out; above 00:05:00 a stolen token is good for too long. Write 00:00:30.",
                $"{path}:{nameof(TokenOptions.RefreshGrace)}"
            );
        if (options.MaxFamilies < 1)
            result.AddError(
                $"is {options.MaxFamilies}, but one must be able to sign in. Write at least 1, for example 100.",
                $"{path}:{nameof(TokenOptions.MaxFamilies)}"
            );
        if (options.RememberedRevocations < 1)
            result.AddError(
                $"is {options.RememberedRevocations}, so that a failover could bring every revoked token back. Write at least 1, for example 10000.",
                $"{path}:{nameof(TokenOptions.RememberedRevocations)}"
            );
        foreach (var secret in (string?[])[options.RefreshSecret, .. options.PreviousRefreshSecrets])
            if (secret is { Length: < LeastSecret })
                result.AddError(
                    $"has {secret.Length} characters and needs {LeastSecret}: who guesses it can end anybody's tokens. Generate it: openssl rand -base64 32.",
                    $"{path}:{nameof(TokenOptions.RefreshSecret)}"
                );
        CheckForeign(options, path, result);
    }

    private static void CheckPositive(TimeSpan value, string option, string example, string path, ValidateOptionsResultBuilder result)
    {
        if (value < TimeSpan.FromSeconds(1))
            result.AddError(
                $"is {value}: tokens would be dead at birth. Write at least 00:00:01, for example {example}.",
                $"{path}:{option}"
            );
    }

    private static void CheckForeign(TokenOptions options, string path, ValidateOptionsResultBuilder result)
    {
        for (var i = 0; i < options.Foreign.Count; i++)
        {
            var foreign = options.Foreign[i];
            var place = $"{path}:{nameof(TokenOptions.Foreign)}:{i}";
            if (string.IsNullOrWhiteSpace(foreign.Issuer) || foreign.Issuer == options.Issuer)
                result.AddError("needs the name of the issuer, which is not ours: it tells whose keys count.", $"{place}:Issuer");
            if (foreign.Audiences.Count == 0)
                result.AddError("is empty: tokens that were made for others would be taken. Name the audience.", $"{place}:Audiences");
            try
            {
                TokenKeyRing.FromJwks(foreign.Jwks);
            }
            catch (ArgumentException mistake)
            {
                result.AddError($"cannot be used: {mistake.Message}", $"{place}:Jwks");
            }
        }
    }
}
