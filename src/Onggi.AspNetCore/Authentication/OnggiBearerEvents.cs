using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Http;
using Onggi.Sessions;
using Onggi.Tokens;

namespace Onggi.AspNetCore;

/// <summary>Where an application has a say in how bearer tokens are taken.</summary>
public sealed class OnggiBearerEvents
{
    /// <summary>Runs first: the place for a token that comes elsewhere than in the header, as of web sockets. An address stands in logs: prefer the header.</summary>
    public Func<BearerReceivedContext, Task> OnMessageReceived { get; set; } = static _ => Task.CompletedTask;

    /// <summary>Runs when the token and its session are in order: adds claims, or refuses with <c>Fail</c>.</summary>
    public Func<BearerVerifiedContext, Task> OnTokenVerified { get; set; } = static _ => Task.CompletedTask;

    /// <summary>Runs before somebody is sent away: changes the words, or answers itself.</summary>
    public Func<BearerChallengeContext, Task> OnChallenge { get; set; } = static _ => Task.CompletedTask;
}

/// <summary>A request whose token is looked for.</summary>
public sealed class BearerReceivedContext : ResultContext<OnggiBearerOptions>
{
    internal BearerReceivedContext(HttpContext context, AuthenticationScheme scheme, OnggiBearerOptions options)
        : base(context, scheme, options) { }

    /// <summary>The token; <c>null</c> to look into the header.</summary>
    public string? Token { get; set; }
}

/// <summary>A token that is in order.</summary>
public sealed class BearerVerifiedContext : ResultContext<OnggiBearerOptions>
{
    internal BearerVerifiedContext(HttpContext context, AuthenticationScheme scheme, OnggiBearerOptions options, OnggiCaller caller)
        : base(context, scheme, options) => Caller = caller;

    /// <summary>Whose it is.</summary>
    public OnggiCaller Caller { get; }
}

/// <summary>Somebody who is about to be sent away.</summary>
public sealed class BearerChallengeContext : PropertiesContext<OnggiBearerOptions>
{
    internal BearerChallengeContext(
        HttpContext context,
        AuthenticationScheme scheme,
        OnggiBearerOptions options,
        AuthenticationProperties properties
    )
        : base(context, scheme, options, properties) { }

    /// <summary>The answer: 400, 401 or 503.</summary>
    public int StatusCode { get; set; }

    /// <summary>The error in <c>WWW-Authenticate</c>; <c>null</c> for none.</summary>
    public string? Error { get; set; }

    /// <summary>The title of the problem details.</summary>
    public string Title { get; set; } = "";

    /// <summary>What the problem details say. Do not say why a token was refused.</summary>
    public string Detail { get; set; } = "";

    /// <summary>Whether the application has answered already.</summary>
    public bool IsHandled { get; private set; }

    /// <summary>Says that the application has answered, and nothing more is to be written.</summary>
    public void HandleResponse() => IsHandled = true;
}

/// <summary>Who a request is from, by its bearer token: <c>context.GetOnggiCaller()</c>.</summary>
public sealed class OnggiCaller
{
    internal OnggiCaller(VerifiedToken token, Session? session, bool isConfirmed) =>
        (Token, Session, IsConfirmed) = (token, session, isConfirmed);

    /// <summary>The token. Hand it to <see cref="OnggiSignIn.SignOutAsync"/>.</summary>
    public VerifiedToken Token { get; }

    /// <summary>The session that it names; <c>null</c> where it was not asked for.</summary>
    public Session? Session { get; }

    /// <summary>Whether Redis was asked: only then is it known that neither the token nor its session was ended.</summary>
    public bool IsConfirmed { get; }

    /// <summary>The token's id.</summary>
    public override string ToString() => Token.ToString();
}
