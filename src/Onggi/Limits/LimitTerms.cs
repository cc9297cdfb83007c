using Onggi.Client;
using Onggi.Keys;
using Onggi.Scripts;

namespace Onggi.Limits;

/// <summary>One family's policy as the scripts want it.</summary>
internal sealed class LimitTerms
{
    private const int HeadLength = 4;

    private readonly RedisArg[] _rules;
    private readonly RedisArg[] _takeOne;
    private readonly RedisArg[] _peekOne;

    public LimitTerms(FamilySettings settings, LimitPolicy policy, TimeProvider time)
    {
        (Family, Policy) = (settings.Family.Name, policy);
        Patience = new Patience(policy.Timeout, time);
        Rules = [.. policy.Rules];
        MostCost = Rules.Where(static rule => rule.Kind != 'p').Select(static rule => rule.Burst).DefaultIfEmpty(int.MaxValue).Min();
        CountsPlaces = Rules.Any(static rule => rule.Kind == 'p');
        PlaceLife = settings.Ttl;
        _rules =
        [
            .. Rules.SelectMany(static rule => new RedisArg[] { rule.Name, rule.Kind.ToString(), rule.Permits, rule.PeriodUs, rule.Burst }),
        ];
        (_takeOne, _peekOne) = (ArgsOf("take", 1, ""), ArgsOf("peek", 1, ""));
    }

    public string Family { get; }

    public LimitPolicy Policy { get; }

    public LimitRule[] Rules { get; }

    /// <summary>For how long callers wait for Redis.</summary>
    public Patience Patience { get; }

    /// <summary>What can be spent at once at the most.</summary>
    public int MostCost { get; }

    /// <summary>Whether a rule counts places, which are given back.</summary>
    public bool CountsPlaces { get; }

    /// <summary>For how long a place is taken, if it is not kept.</summary>
    public TimeSpan PlaceLife { get; }

    /// <summary>The places of a subject; they stand beside its states.</summary>
    public static string PlacesOf(string wire) => AuxiliaryName.Of(wire, "places");

    public RedisArg[] KeysOf(string wire) => CountsPlaces ? [wire, PlacesOf(wire)] : [wire];

    /// <summary>The arguments of the script; what is asked most is made once.</summary>
    public RedisArg[] TakeArgs(bool spends, int cost, string place) =>
        cost != 1 || place.Length > 0 ? ArgsOf(spends ? "take" : "peek", cost, place)
        : spends ? _takeOne
        : _peekOne;

    public RedisArg[] RefundArgs(in Decision decision) => [decision.Cost, decision.TakenAtUs, .. _rules];

    /// <summary>What the script has said.</summary>
    public Decision DecisionOf(in TakeReply reply, int cost) =>
        new()
        {
            Allowed = reply.Allowed,
            Remaining = (int)Math.Min(reply.Remaining, int.MaxValue),
            RetryAfter = TimeSpan.FromMicroseconds(reply.RetryAfterUs),
            ResetAfter = TimeSpan.FromMicroseconds(reply.ResetAfterUs),
            Source = DecisionSource.Redis,
            Rule = Rules[reply.Rule - 1],
            RuleResetAfter = TimeSpan.FromMicroseconds(reply.RuleResetAfterUs),
            Cost = cost,
            TakenAtUs = reply.NowUs,
        };

    private RedisArg[] ArgsOf(string mode, int cost, string place)
    {
        var args = new RedisArg[HeadLength + _rules.Length];
        args[0] = mode;
        args[1] = cost;
        args[2] = place;
        args[3] = (long)PlaceLife.TotalMilliseconds;
        _rules.CopyTo(args, HeadLength);
        return args;
    }
}

/// <summary>What the script answers to who wants to spend.</summary>
internal readonly record struct TakeReply(
    bool Allowed,
    long Remaining,
    long RetryAfterUs,
    long ResetAfterUs,
    int Rule,
    long NowUs,
    long RuleResetAfterUs
);

/// <summary>The scripts of limits and what they answer.</summary>
internal static class LimitScripts
{
    public static readonly RedisScript Stay = LuaScript.Load("limit_stay.lua");

    public static readonly ReplyParser<TakeReply> TakeAnswer = static (ref reader) =>
    {
        reader.Read();
        var allowed = reader.ReadInt64() == 1;
        reader.Read();
        var remaining = reader.ReadInt64();
        reader.Read();
        var retry = reader.ReadInt64();
        reader.Read();
        var reset = reader.ReadInt64();
        reader.Read();
        var rule = (int)reader.ReadInt64();
        reader.Read();
        var now = reader.ReadInt64();
        reader.Read();
        return new TakeReply(allowed, remaining, retry, reset, rule, now, reader.ReadInt64());
    };

    private static readonly RedisScript TakeScript = LuaScript.Load("limit_take.lua");
    private static readonly RedisScript RefundScript = LuaScript.Load("limit_refund.lua");

    // mutant: Take, Refund
    public static RedisScript Take => LimitMutants.Take ?? TakeScript;

    public static RedisScript Refund => LimitMutants.Refund ?? RefundScript;
}
