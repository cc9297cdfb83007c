using System.Security.Cryptography;
using System.Text;
using Microsoft.IdentityModel.Tokens;
using Onggi.Keys;

namespace Onggi.Tokens;

/// <summary>The names of what tokens leave in Redis, from the two families of the catalog that they stand in.</summary>
internal sealed class TokenNames
{
    private const string Hint =
        "Write into keyspace.json: \"blacklist\": { \"kind\": \"token\", \"key\": \"auth:token:blacklist:{jti}\", \"owner\": \"auth\", \"readers\": [\"*\"], \"ttl\": \"15m\" }, "
        + "\"refresh\": { \"kind\": \"token\", \"key\": \"auth:token:refresh:{userId}\", \"owner\": \"auth\", \"readers\": [\"*\"], \"ttl\": \"30d\" }.";

    private readonly Keyspace _keyspace;
    private readonly FamilySettings _blacklist;
    private readonly FamilySettings _refresh;
    private readonly string _beforeDenied;

    private TokenNames(Keyspace keyspace, FamilySettings blacklist, FamilySettings refresh)
    {
        (_keyspace, _blacklist, _refresh) = (keyspace, blacklist, refresh);
        _beforeDenied = blacklist.Pattern[..blacklist.Pattern.IndexOf('{', StringComparison.Ordinal)];
    }

    /// <summary>The longest life of an access token.</summary>
    public TimeSpan LongestAccess => _blacklist.Ttl;

    /// <summary>The longest life of a refresh family.</summary>
    public TimeSpan LongestFamily => _refresh.Ttl;

    /// <summary>Finds the two families.</summary>
    /// <param name="keyspace">The catalog.</param>
    /// <param name="owner">Whose; <c>null</c> for the only service that has them.</param>
    /// <exception cref="InvalidOperationException">They are not there, or cannot serve; the message says what to write.</exception>
    public static TokenNames Find(Keyspace keyspace, string? owner)
    {
        var blacklists = Named(keyspace, owner, "blacklist");
        var refreshes = Named(keyspace, owner, "refresh");
        if (blacklists.Count > 1)
            throw new InvalidOperationException(
                $"Several services have token families ({string.Join(", ", blacklists.Select(one => one.Owner))}). Say in Tokens:Owner whose are meant."
            );
        if (blacklists.Count == 0 || refreshes.Find(one => one.Owner == blacklists[0].Owner) is not { } refresh)
            throw new InvalidOperationException(
                $"The catalog lacks the token families <owner>:token:blacklist:{{jti}} and <owner>:token:refresh:{{userId}} of one owner, so tokens could not be revoked. {Hint}"
            );
        var blacklist = blacklists[0];
        if (blacklist.Personal.Count > 0)
            throw new InvalidOperationException(
                $"Family \"{blacklist.Family.Name}\" marks its identifier as personal, but it is a random number, and hashed it could not be steered into the slot of its user. Take it out of \"personal\"."
            );
        if (refresh.Ttl < blacklist.Ttl)
            throw new InvalidOperationException(
                $"Family \"{refresh.Family.Name}\" (ttl {refresh.Ttl}) must live at least as long as the access tokens of \"{blacklist.Family.Name}\" (ttl {blacklist.Ttl}): the epoch of a user's tokens stands beside it."
            );
        return new TokenNames(keyspace, blacklist, refresh);
    }

    /// <summary>All that stands in the slot of one user.</summary>
    public SubjectNames Of(string subject)
    {
        var families = _keyspace.WireName(new EntryKey(_refresh.Family, subject));
        return new SubjectNames(this, families);
    }

    /// <summary>The blacklist entry of a token or a family.</summary>
    public string Denied(string id) => _keyspace.WireName(new EntryKey(_blacklist.Family, id));

    /// <summary>An id whose blacklist entry stands in the slot of another key.</summary>
    public string NewId(int slot) => SlotSteering.NewId(_beforeDenied, slot);

    /// <summary>The name under which we know the id, or the subject, of another issuer: its owner chose it, so it must not meet one of ours or of a third.</summary>
    public static string Foreign(string issuer, string id) =>
        TokenMutants.ForeignIdAlone
            ? id
            : "~" + Base64UrlEncoder.Encode(SHA256.HashData(Encoding.UTF8.GetBytes($"{issuer.Length}:{issuer}{id}")));

    private static List<FamilySettings> Named(Keyspace keyspace, string? owner, string word) =>
        [
            .. keyspace.Families.Where(family =>
                family.Kind == "token"
                && (owner is null || family.Owner == owner)
                && family.Pattern[keyspace.Prefix.Length..].Split(':') is [var first, "token", var third, ['{', ..]]
                && third == word
                && first == family.Owner
            ),
        ];
}

/// <summary>The keys of one user's tokens: all in one slot.</summary>
internal sealed class SubjectNames
{
    private readonly TokenNames _names;

    public SubjectNames(TokenNames names, string families)
    {
        _names = names;
        Families = families;
        Deadlines = AuxiliaryName.Of(families, "due");
        Epoch = AuxiliaryName.Of(families, "epoch");
    }

    /// <summary>HASH: the refresh families.</summary>
    public string Families { get; }

    /// <summary>ZSET: when each ends.</summary>
    public string Deadlines { get; }

    /// <summary>STRING: tokens whose stamp is below it are dead.</summary>
    public string Epoch { get; }

    /// <summary>STRING: the answer to a retry.</summary>
    public string Sealed(string family) => AuxiliaryName.Of(Families, family);

    /// <summary>STRING: the blacklist entry of a token or family that was made for this user.</summary>
    public string Denied(string id) => _names.Denied(id);

    /// <summary>An id for a token or family of this user.</summary>
    public string NewId() => _names.NewId(SlotSteering.SlotOf(Families));
}
