namespace Onggi.Keys.Catalog;

/// <summary>The times and jitter that can be said at four places: built in, for all, for a service, for a family.</summary>
internal class Pace
{
    public Located<TimeSpan>? Ttl { get; set; }

    public Located<TimeSpan>? Grace { get; set; }

    public Located<TimeSpan>? NegativeTtl { get; set; }

    public Located<double>? Jitter { get; set; }

    /// <summary>How long the last events of a type stay readable; stands in <c>defaults</c> only.</summary>
    public Located<TimeSpan>? EventTtl { get; set; }
}

/// <summary>A service of the team, as the catalog names it.</summary>
internal sealed class ServiceModel(Located<string> name) : Pace
{
    public Located<string> Name { get; } = name;
}

/// <summary>A family of keys as it stands in the file, or what one environment changes of it.</summary>
internal sealed class FamilyModel(Located<string> name) : Pace
{
    public Located<string> Name { get; } = name;

    public string? Description { get; set; }

    public Located<KeyPattern>? Key { get; set; }

    public Located<string>? Kind { get; set; }

    public Located<string>? Value { get; set; }

    public Located<string>? Owner { get; set; }

    public Located<string>? Data { get; set; }

    public List<Located<string>>? Readers { get; set; }

    public List<Located<string>>? Writers { get; set; }

    public List<Located<string>> Personal { get; } = [];

    public List<Located<string>> InvalidatedBy { get; } = [];

    public Located<TimeSpan>? Idle { get; set; }

    public Located<TimeSpan>? Absolute { get; set; }

    /// <summary>How many sessions a user may have.</summary>
    public Located<int>? Limit { get; set; }

    /// <summary>What happens to one more.</summary>
    public Located<string>? Policy { get; set; }

    public Located<double>? Share { get; set; }

    /// <summary>Each field's name in the file, for mistakes about the field and not its value.</summary>
    public Dictionary<string, JsonNode> Fields { get; } = new(StringComparer.Ordinal);

    /// <summary>The word of the kind; a family that names none is a cache.</summary>
    public string KindWord => Kind?.Value ?? KindRules.Cache;

    /// <summary>Whether the kind could be read. Where not, it has its own mistake, and nothing more can be said of the family.</summary>
    public bool KindIsKnown => Kind is not null || !Fields.ContainsKey("kind");

    /// <summary>The family in words, for messages.</summary>
    public string Where => $"family \"{Name.Value}\"";
}

/// <summary>Where an identifier of an invalidated key comes from.</summary>
internal sealed class IdentifierSource
{
    private IdentifierSource(string? constant, bool fromMetadata, IReadOnlyList<string> path)
    {
        Constant = constant;
        FromMetadata = fromMetadata;
        Path = path;
    }

    /// <summary>The identifier itself (<c>=all</c>); <c>null</c> when the event brings it.</summary>
    public string? Constant { get; }

    public bool FromMetadata { get; }

    /// <summary>The names from the payload's root down, or the one name in the metadata.</summary>
    public IReadOnlyList<string> Path { get; }

    /// <summary>Reads <c>data.customer.lineNumber</c>, <c>metadata.user_id</c> or <c>=all</c>; <c>null</c> for anything else.</summary>
    public static IdentifierSource? Parse(string text)
    {
        if (text.Length > 1 && text[0] == '=')
            return new IdentifierSource(text.Substring(1), fromMetadata: false, []);
        if (text.StartsWith("metadata.", StringComparison.Ordinal) && text.Length > 9)
            return new IdentifierSource(null, fromMetadata: true, [text.Substring(9)]);
        if (!text.StartsWith("data.", StringComparison.Ordinal))
            return null;
        var path = text.Substring(5).Split('.');
        return path.Any(name => name.Trim().Length == 0) ? null : new IdentifierSource(null, fromMetadata: false, path);
    }
}

/// <summary>One key that an event invalidates: the family, and a source for each of its identifiers.</summary>
internal sealed class MappingModel(Located<string> family, JsonNode node)
{
    public Located<string> Family { get; } = family;

    public JsonNode Node { get; } = node;

    public Dictionary<string, Located<IdentifierSource>> Sources { get; } = new(StringComparer.Ordinal);

    /// <summary>The identifiers that are named, also those whose source could not be read.</summary>
    public List<Located<string>> Named { get; } = [];
}

/// <summary>An event that services publish.</summary>
internal sealed class EventModel(Located<string> name)
{
    public Located<string> Name { get; } = name;

    public string? Description { get; set; }

    public Located<string>? Payload { get; set; }

    public Located<string>? Delivery { get; set; }

    public Located<string>? Channel { get; set; }

    public Located<TimeSpan>? Ttl { get; set; }

    /// <summary>The services that publish it; <c>null</c> for all.</summary>
    public List<Located<string>>? Publishers { get; set; }

    public List<MappingModel> Keys { get; } = [];

    public string Where => $"event \"{Name.Value}\"";

    public string ChannelName => Channel?.Value ?? "events:global:" + Name.Value;
}

/// <summary>What one environment changes.</summary>
internal sealed class EnvironmentModel(Located<string> name)
{
    public Located<string> Name { get; } = name;

    public Located<string>? Prefix { get; set; }

    public Located<string>? PersonalIdentifiers { get; set; }

    public Pace Defaults { get; set; } = new();

    public Located<long>? MemoryLimit { get; set; }

    public List<ServiceModel> Services { get; } = [];

    public List<FamilyModel> Families { get; } = [];
}

/// <summary>The catalog as it stands in the file. Parts with mistakes are missing from it.</summary>
internal sealed class CatalogModel
{
    public const string DefaultEnvironment = "dev";

    public const string DefaultPrefix = "{environment}:";

    public Located<string>? System { get; set; }

    public Located<string>? Environment { get; set; }

    public Located<string>? Prefix { get; set; }

    public Located<string>? PersonalIdentifiers { get; set; }

    public Pace Defaults { get; set; } = new();

    public Located<long>? MemoryLimit { get; set; }

    public List<ServiceModel> Services { get; } = [];

    public List<EventModel> Events { get; } = [];

    public List<FamilyModel> Families { get; } = [];

    public List<EnvironmentModel> Environments { get; } = [];

    /// <summary>The environments that can be asked for: the default one first, then the others in the file's order.</summary>
    public IReadOnlyList<string> EnvironmentNames
    {
        get
        {
            var first = Environment?.Value ?? DefaultEnvironment;
            return [first, .. Environments.Select(environment => environment.Name.Value).Where(name => name != first).Distinct()];
        }
    }

    /// <summary>The catalog as one environment has it.</summary>
    public ResolvedCatalog Resolve(string environment)
    {
        var overrides = Environments.Find(candidate => candidate.Name.Value == environment);
        var template = overrides?.Prefix?.Value ?? Prefix?.Value ?? DefaultPrefix;
        return new ResolvedCatalog
        {
            Environment = environment,
            Prefix = template.Replace("{environment}", environment).Replace("{system}", System?.Value ?? ""),
            PrefixNode = overrides?.Prefix?.Node ?? Prefix?.Node,
            HashesPersonal = (overrides?.PersonalIdentifiers ?? PersonalIdentifiers)?.Value == "hmac",
            PersonalNode = (overrides?.PersonalIdentifiers ?? PersonalIdentifiers)?.Node,
            MemoryLimit = overrides?.MemoryLimit?.Value ?? MemoryLimit?.Value,
            EventTtl = overrides?.Defaults.EventTtl?.Value ?? Defaults.EventTtl?.Value ?? KindRules.EventTtl,
            Families = [.. Families.Select(family => Resolve(family, overrides))],
        };
    }

    private ResolvedFamily Resolve(FamilyModel family, EnvironmentModel? overrides)
    {
        var over = overrides?.Families.Find(candidate => candidate.Name.Value == family.Name.Value);
        // From the nearest to the farthest: what stands nearer the family wins, and of two as near the environment's.
        Pace?[] places =
        [
            over,
            family,
            overrides?.Services.Find(service => service.Name.Value == family.Owner?.Value),
            Services.Find(service => service.Name.Value == family.Owner?.Value),
            overrides?.Defaults,
            Defaults,
        ];
        // Defaults of services and of the catalog speak of caches; the other kinds name their own times.
        var reach = family.KindWord == KindRules.Cache ? places : [.. places.Take(2)];
        var ttl = First(reach, place => place.Ttl);
        return new ResolvedFamily
        {
            Family = family,
            Ttl = ttl?.Value ?? (family.KindWord == KindRules.Cache ? KindRules.DefaultTtl : null),
            TtlNode = ttl?.Node,
            Grace = First(reach, place => place.Grace),
            NegativeTtl = First(reach, place => place.NegativeTtl),
            Jitter = First(reach, place => place.Jitter),
            Idle = over?.Idle ?? family.Idle,
            Absolute = over?.Absolute ?? family.Absolute,
            Limit = over?.Limit ?? family.Limit,
            Policy = over?.Policy ?? family.Policy,
            Share = over?.Share ?? family.Share,
            Readers = over?.Readers ?? family.Readers ?? [],
            Writers = over?.Writers ?? family.Writers ?? [],
        };
    }

    private static Located<T>? First<T>(Pace?[] places, Func<Pace, Located<T>?> pick) =>
        places.Select(place => place is null ? null : pick(place)).FirstOrDefault(value => value is not null);
}

/// <summary>The catalog as one environment has it.</summary>
internal sealed class ResolvedCatalog
{
    public string Environment { get; set; } = "";

    public string Prefix { get; set; } = "";

    public JsonNode? PrefixNode { get; set; }

    public bool HashesPersonal { get; set; }

    public JsonNode? PersonalNode { get; set; }

    public long? MemoryLimit { get; set; }

    public TimeSpan EventTtl { get; set; }

    public IReadOnlyList<ResolvedFamily> Families { get; set; } = [];
}

/// <summary>A family as one environment has it.</summary>
internal sealed class ResolvedFamily
{
    public FamilyModel Family { get; set; } = null!;

    /// <summary>The TTL, lease or window; <c>null</c> for kinds that have none or where the file lacks it.</summary>
    public TimeSpan? Ttl { get; set; }

    /// <summary>Where the TTL was written; <c>null</c> when it is the built-in one.</summary>
    public JsonNode? TtlNode { get; set; }

    public Located<TimeSpan>? Grace { get; set; }

    public Located<TimeSpan>? NegativeTtl { get; set; }

    public Located<double>? Jitter { get; set; }

    public Located<TimeSpan>? Idle { get; set; }

    public Located<TimeSpan>? Absolute { get; set; }

    public Located<int>? Limit { get; set; }

    public Located<string>? Policy { get; set; }

    public Located<double>? Share { get; set; }

    public IReadOnlyList<Located<string>> Readers { get; set; } = [];

    public IReadOnlyList<Located<string>> Writers { get; set; } = [];
}
