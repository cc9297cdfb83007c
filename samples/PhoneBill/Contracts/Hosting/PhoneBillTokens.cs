using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Onggi;
using Onggi.AspNetCore;
using Onggi.Tokens;

namespace PhoneBill.Contracts;

/// <summary>The tokens that all services take: Auth signs them with its private key, the others have the public one and can check, not issue.</summary>
public static class PhoneBillTokens
{
    // Two keys in turn need two names; the sample never changes its key.
    private const string KeyId = "phonebill";

    /// <summary>Says who issues, with which key, and what holds while Redis is away.</summary>
    /// <exception cref="InvalidOperationException"><c>Tokens:KeyFile</c> is missing; the message says how to make one.</exception>
    public static void UsePhoneBillTokens(this OnggiOptions onggi, IConfiguration configuration)
    {
        var file = configuration["Tokens:KeyFile"];
        if (!File.Exists(file))
            throw new InvalidOperationException(
                $"Tokens:KeyFile ('{file}') is no file. Auth needs a private key: openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out token.pem; "
                    + "the others its public one: openssl pkey -in token.pem -pubout -out token.pub.pem. Set the environment variable Tokens__KeyFile."
            );
        onggi.TokenKeys = new TokenKeyRing(TokenKey.FromPem(KeyId, File.ReadAllText(file)));
        onggi.Tokens.Issuer = "phonebill";
        // Bills are read on while Redis is away; a token that was revoked is good for a quarter of an hour at most. What costs money asks for more: see ProductChange.
        onggi.Tokens.AcceptUnconfirmed = true;
    }

    /// <summary>Takes those tokens as <c>Authorization: Bearer …</c>.</summary>
    public static void AddPhoneBillSignIn(this IServiceCollection services)
    {
        services.AddAuthorization();
        services
            .AddAuthentication(OnggiBearerDefaults.AuthenticationScheme)
            .AddOnggiBearer(bearer =>
                bearer.Events = new OnggiBearerEvents
                {
                    OnChallenge = challenge =>
                    {
                        if (challenge.StatusCode == StatusCodes.Status401Unauthorized)
                            challenge.Detail =
                                "Send the token from POST /api/login of the Auth service as 'Authorization: Bearer …'. It lasts 15 minutes; POST /api/refresh gives the next one.";
                        return Task.CompletedTask;
                    },
                }
            );
    }
}
