using System.Collections.Frozen;
using System.Diagnostics.CodeAnalysis;
using System.Text;
using System.Text.Json;
using Onggi.Keys.Catalog;

namespace Onggi.Keys;

/// <summary>The catalog, bound to one environment and one service: it makes wire names and knows each family's rules.</summary>
/// <remarks>Nothing here asks Redis. It does not change after loading and may be used from everywhere at once.</remarks>
public sealed class Keyspace
{
    private const int MinSecretLength = 16;

    /// <summary>Events that Onggi publishes itself; a catalog cannot declare them.</summary>
    private static readonly FrozenSet<string> BuiltInEvents = BuiltIns.Events.ToFrozenSet(StringComparer.Ordinal);

    private readonly FrozenDictionary<string, KeyShape> _shapes;
    private readonly FrozenDictionary<string, EventSettings> _events;
    private readonly Dictionary<string, IReadOnlyList<KeyMapping>> _mappings;
    private readonly FamilySettings _system;
    private readonly byte[]? _secret;
    private readonly byte[] _pseudonyms;
    private readonly TimeSpan _eventTtl;

    private Keyspace(CatalogModel model, ResolvedCatalog resolved, string? service, byte[]? secret)
    {
        System = model.System!.Value;
        Services = [.. model.Services.Select(known => known.Name.Value)];
        Environment = resolved.Environment;
        Service = service;
        Prefix = resolved.Prefix;
        MemoryLimit = resolved.MemoryLimit;
        HashesPersonalIdentifiers = resolved.HashesPersonal;
        _secret = secret;
        _pseudonyms = Encoding.UTF8.GetBytes($"{System}:{Prefix}");
        var shapes = resolved.Families.Select(family => KeyShape.Of(family, resolved)).ToList();
        _shapes = shapes.ToFrozenDictionary(shape => shape.Settings.Family.Name, StringComparer.Ordinal);
        Families = [.. shapes.Select(shape => shape.Settings)];
        Events = [.. model.Events.Select(catalogEvent => SettingsOf(catalogEvent, resolved))];
        _eventTtl = resolved.EventTtl;
        _events = Events.ToFrozenDictionary(settings => settings.Type, StringComparer.Ordinal);
        _mappings = model.Events.ToDictionary(
            catalogEvent => catalogEvent.Name.Value,
            IReadOnlyList<KeyMapping> (catalogEvent) =>
                [.. catalogEvent.Keys.Select(mapping => KeyMapping.Of(mapping, _shapes[mapping.Family.Value].Settings.Family))],
            StringComparer.Ordinal
        );
        _system = BuiltIns.SystemFamily(Prefix);
    }

    /// <summary>The name of the whole, as the catalog has it.</summary>
    public string System { get; }

    /// <summary>The environment this is bound to, for example <c>dev</c>.</summary>
    public string Environment { get; }

    /// <summary>The service this is bound to; <c>null</c> for tools.</summary>
    public string? Service { get; }

    /// <summary>The services of the catalog, in its order; empty when it names none.</summary>
    public IReadOnlyList<string> Services { get; }

    /// <summary>What every wire name begins with, for example <c>dev:</c>; may be empty.</summary>
    public string Prefix { get; }

    /// <summary>The families, in the catalog's order.</summary>
    public IReadOnlyCollection<FamilySettings> Families { get; }

    /// <summary>The events of the catalog, in its order; the built-in ones are not among them.</summary>
    public IReadOnlyCollection<EventSettings> Events { get; }

    /// <summary>Maximum memory for this environment in bytes; <c>null</c> when the catalog names none.</summary>
    public long? MemoryLimit { get; }

    /// <summary>Whether personal identifiers are hashed in this environment.</summary>
    public bool HashesPersonalIdentifiers { get; }

    /// <summary>Reads the catalog and binds it.</summary>
    /// <param name="catalogJson">The text of <c>keyspace.json</c>: the generated <c>Catalog.Json</c>.</param>
    /// <param name="environment">An environment of the catalog; <c>null</c> for its default one.</param>
    /// <param name="service">A service of the catalog; <c>null</c> for a tool.</param>
    /// <param name="personalSecret">The secret that personal identifiers are hashed with; needed only where the environment hashes them.</param>
    /// <exception cref="CatalogException">The catalog has mistakes, does not know the environment or the service, or lacks the secret; the message says each with line, reason and what to write.</exception>
    public static Keyspace Load(string catalogJson, string? environment = null, string? service = null, string? personalSecret = null) =>
        Load(catalogJson, environment, service, personalSecret, needsSecret: true);

    /// <summary>As the public one; a tool that only reads key names needs no secret.</summary>
    internal static Keyspace Load(string catalogJson, string? environment, string? service, string? personalSecret, bool needsSecret)
    {
        ArgumentNullException.ThrowIfNull(catalogJson);
        var file = CatalogFile.Read(catalogJson, wantsTypes: false);
        if (file.Mistakes.Count > 0 || file.Model is null)
            throw new CatalogException(Describe(file.Mistakes));
        var model = file.Model;
        var names = model.EnvironmentNames;
        environment ??= names[0];
        if (!names.Contains(environment, StringComparer.Ordinal))
            throw new CatalogException(
                $"The catalog has no environment \"{environment}\": a key under a wrong prefix would be nobody's. {CatalogWords.Suggest(environment, names, "")} New ones stand under \"environments\"."
            );
        var services = model.Services.ConvertAll(known => known.Name.Value);
        if (service is not null && services.Count > 0 && !services.Contains(service, StringComparer.Ordinal))
            throw new CatalogException(
                $"The catalog has no service \"{service}\": its times and rights are unknown. {CatalogWords.Suggest(service, services, "")} New ones stand under \"services\"."
            );
        var resolved = model.Resolve(environment);
        return new Keyspace(model, resolved, service, SecretBytes(resolved, personalSecret, needsSecret));
    }

    /// <summary>The rules of a family.</summary>
    /// <exception cref="KeyNotFoundException">The catalog has no such family, or has it with other identifiers than this code was compiled with; the message says what to do.</exception>
    public FamilySettings SettingsOf(KeyFamily family) => ShapeOf(family).Settings;

    /// <summary>The name of the key in Redis: prefix, pattern, and the identifiers, escaped (or hashed where they are personal and the environment says so).</summary>
    /// <exception cref="KeyNotFoundException">The catalog has no such family.</exception>
    public string WireName(in EntryKey key)
    {
        var shape = ShapeOf(key.Family);
        return shape.WireName(Encode(shape, 0, key.First)!, Encode(shape, 1, key.Second), Encode(shape, 2, key.Third));
    }

    /// <summary>What stands in key names in the place of a person, in every environment: 128 bits in base64url, the same in all services.</summary>
    /// <remarks>Under the team's secret where personal identifiers are hashed with one. Without, it is no secret who it is to whoever guesses the person, but nobody reads it off a key.</remarks>
    internal string PseudonymOf(string person) => IdentifierEncoding.Hash(_secret ?? _pseudonyms, person);

    /// <summary>How long Redis keeps the key: its TTL, shrunk by a jitter that is a function of the wire name, and its grace behind that, in whole milliseconds.</summary>
    /// <remarks>The grace is never shrunk: what has no more left than that is past its life, and a short TTL that a loader chose would be over before it began.</remarks>
    /// <param name="settings">The family's rules.</param>
    /// <param name="wireName">The name of the key.</param>
    /// <param name="logicalTtl">A time to live that the loader chose; <c>null</c> for the family's. It is cut to <see cref="FamilySettings.MaxTtl"/>.</param>
    /// <param name="withGrace"><c>false</c> for a reader that cannot tell the grace from the life: then the key ends when its value does.</param>
    /// <exception cref="ArgumentOutOfRangeException">The chosen time is not positive.</exception>
    [SuppressMessage(
        "Performance",
        "CA1822",
        Justification = "It is a question to the keyspace: callers need not know that the answer stands in the settings."
    )]
    public TimeSpan PhysicalTtl(FamilySettings settings, string wireName, TimeSpan? logicalTtl = null, bool withGrace = true)
    {
        ArgumentNullException.ThrowIfNull(settings);
        ArgumentNullException.ThrowIfNull(wireName);
        if (logicalTtl is { } chosen)
            ArgumentOutOfRangeException.ThrowIfLessThanOrEqual(chosen, TimeSpan.Zero, nameof(logicalTtl));
        var logical = logicalTtl ?? settings.Ttl;
        if (logical > settings.MaxTtl)
            logical = settings.MaxTtl;
        var life = logical.TotalMilliseconds;
        if (settings.Jitter > 0)
            life *= 1 - (settings.Jitter * Jitter.Fraction(wireName));
        var kept = withGrace ? life + settings.Grace.TotalMilliseconds : life;
        return TimeSpan.FromMilliseconds(Math.Max(1, Math.Floor(kept)));
    }

    /// <summary>The entries that an event invalidates, by the catalog's events section.</summary>
    /// <param name="eventType">The event's name; an unknown one invalidates nothing.</param>
    /// <param name="data">The event's payload. Names are compared exactly first, then without regard to case; where a list is found, each of its elements is an identifier.</param>
    /// <param name="metadata">The event's metadata.</param>
    /// <param name="missing">Takes a sentence for every identifier that the event lacks; the keys that need it are skipped.</param>
    public IReadOnlyList<EntryKey> InvalidatedBy(
        string eventType,
        JsonElement data,
        IReadOnlyDictionary<string, string> metadata,
        ICollection<string>? missing = null
    )
    {
        ArgumentNullException.ThrowIfNull(eventType);
        ArgumentNullException.ThrowIfNull(metadata);
        if (!_mappings.TryGetValue(eventType, out var mappings) || mappings.Count == 0)
            return [];
        var keys = new List<EntryKey>(mappings.Count);
        foreach (var mapping in mappings)
            mapping.AddKeys(eventType, data, metadata, keys, missing);
        return keys;
    }

    /// <summary>Whether the event type is in the catalog, or one of those that Onggi publishes itself.</summary>
    public bool KnowsEvent(string eventType) => _events.ContainsKey(eventType) || BuiltInEvents.Contains(eventType);

    /// <summary>How an event reaches who hears it; one that the catalog does not name, at most once.</summary>
    public EventDelivery DeliveryOf(string eventType) =>
        _events.TryGetValue(eventType, out var settings) ? settings.Delivery : EventDelivery.AtMostOnce;

    /// <summary>The Pub/Sub channel of an event type, with the prefix; of one that the catalog does not name, the channel that it would have.</summary>
    public string ChannelOf(string eventType) =>
        _events.TryGetValue(eventType, out var settings) ? settings.Channel : $"{Prefix}events:global:{eventType}";

    /// <summary>Whether events of a type invalidate anything.</summary>
    internal bool Invalidates(string eventType) => _mappings.TryGetValue(eventType, out var mappings) && mappings.Count > 0;

    /// <summary>How long the last events of a type stay readable; of one that the catalog does not name, the catalog's default.</summary>
    internal TimeSpan EventTtlOf(string eventType) => _events.TryGetValue(eventType, out var settings) ? settings.Ttl : _eventTtl;

    /// <summary>The family that a wire name belongs to, for audits; <c>null</c> when it is nobody's.</summary>
    /// <remarks>
    /// Auxiliary keys (<c>{dev:customer:…}:l</c>) belong to the family of the key in the braces, Onggi's own keys to a built-in family
    /// <c>onggi</c>. A name that this keyspace never makes is nobody's: an identifier with a character that would be escaped, or a plain
    /// personal identifier where they are hashed.
    /// </remarks>
    public FamilySettings? FamilyOf(string wireName)
    {
        ArgumentNullException.ThrowIfNull(wireName);
        var name = DataKeyOf(wireName);
        if (name is null || !name.StartsWith(Prefix, StringComparison.Ordinal))
            return null;
        var parts = name[Prefix.Length..].Split(':');
        if (BuiltIns.IsSystemKey(parts))
            return _system;
        foreach (var shape in _shapes.Values)
        {
            if (shape.Matches(parts, HashesPersonalIdentifiers))
                return shape.Settings;
        }

        // A family of the catalog may say more of a stream, for example whose it is; what no family has is Onggi's own.
        return BuiltIns.IsStream(parts) && DeliveryOf(parts[2]) == EventDelivery.AtLeastOnce ? _system : null;
    }

    /// <summary>What stands in the braces of an auxiliary key; other names as they are; <c>null</c> when the braces do not fit.</summary>
    private static string? DataKeyOf(string wireName)
    {
        if (wireName.Length == 0 || wireName[0] != '{')
            return wireName;
        var end = wireName.IndexOf('}', StringComparison.Ordinal);
        return end < 0 || (end + 1 < wireName.Length && wireName[end + 1] != ':') ? null : wireName[1..end];
    }

    private KeyShape ShapeOf(KeyFamily family)
    {
        ArgumentNullException.ThrowIfNull(family);
        if (!_shapes.TryGetValue(family.Name, out var shape))
            ThrowUnknown(family);
        if (!shape.Fits(family))
            ThrowChanged(family, shape.Settings.Family);
        return shape;
    }

    private string? Encode(KeyShape shape, int index, string? identifier)
    {
        if (identifier is null || !shape.IsPersonal(index) || !HashesPersonalIdentifiers)
            return identifier is null ? null : IdentifierEncoding.Escape(identifier);
        if (_secret is null)
            throw new InvalidOperationException(
                $"Environment \"{Environment}\" hashes personal identifiers, and this keyspace was loaded without the secret: it can read names, not make them."
            );
        return IdentifierEncoding.Hash(_secret, identifier);
    }

    private EventSettings SettingsOf(EventModel model, ResolvedCatalog resolved) =>
        new()
        {
            Type = model.Name.Value,
            Channel = Prefix + model.ChannelName,
            PayloadType = model.Payload?.Value,
            Delivery = model.Delivery?.Value == KindRules.AtLeastOnce ? EventDelivery.AtLeastOnce : EventDelivery.AtMostOnce,
            Ttl = model.Ttl?.Value ?? resolved.EventTtl,
            Publishers = model.Publishers is { } publishers ? [.. publishers.Select(publisher => publisher.Value)] : ["*"],
            Families = [.. model.Keys.Select(mapping => mapping.Family.Value).Distinct()],
            Description = model.Description,
        };

    private static byte[]? SecretBytes(ResolvedCatalog resolved, string? secret, bool needed)
    {
        var personal = resolved
            .Families.Where(family => family.Family.Personal.Count > 0 || family.Family.KindWord == KindRules.Session)
            .Select(family => family.Family.Name.Value)
            .ToList();
        if (!resolved.HashesPersonal || personal.Count == 0)
            return null;
        if (string.IsNullOrEmpty(secret))
        {
            if (!needed)
                return null;
            throw new CatalogException(
                $"line {resolved.PersonalNode!.Line}, column {resolved.PersonalNode.Column}: ONGGI{(int)MistakeCode.MissingSecret:000}: environment \"{resolved.Environment}\" hashes personal identifiers (of {string.Join(", ", personal)}), and no secret was given. "
                    + "Without one the hashes of phone numbers could be computed by everybody. "
                    + "Give every service the same secret as PersonalSecret (at least 16 characters, from a secret store), or write \"personalIdentifiers\": \"plain\" for this environment."
            );
        }

        return secret.Length >= MinSecretLength
            ? Encoding.UTF8.GetBytes(secret)
            : throw new CatalogException(
                $"The secret for personal identifiers has {secret.Length} characters and needs at least {MinSecretLength}: there are few phone numbers, so a guessable secret hides none of them. Generate it: openssl rand -base64 32."
            );
    }

    private static string Describe(IReadOnlyList<CatalogMistake> mistakes)
    {
        var text = new StringBuilder(mistakes.Count == 1 ? "The catalog has a mistake:" : $"The catalog has {mistakes.Count} mistakes:");
        foreach (var mistake in mistakes)
            text.Append('\n').Append("  ").Append(mistake);
        return text.ToString();
    }

    [DoesNotReturn]
    private void ThrowUnknown(KeyFamily family) =>
        throw new KeyNotFoundException(
            $"The catalog has no family \"{family.Name}\". {CatalogWords.Suggest(family.Name, [.. Families.Select(known => known.Family.Name)], "It has none at all.")} Was the code compiled with another keyspace.json?"
        );

    [DoesNotReturn]
    private static void ThrowChanged(KeyFamily compiled, KeyFamily known) =>
        throw new KeyNotFoundException(
            $"The catalog's family \"{known.Name}\" has the identifiers ({string.Join(", ", known.Identifiers)}), this code was compiled with ({string.Join(", ", compiled.Identifiers)}). Build it with the catalog that it runs with."
        );
}
