using System.Text.Json;
using Onggi.Keys.Catalog;

namespace Onggi.Keys;

/// <summary>How an event's payload and metadata name a key of a family.</summary>
internal sealed class KeyMapping
{
    private readonly KeyFamily _family;
    private readonly IdentifierSource[] _sources;

    private KeyMapping(KeyFamily family, IdentifierSource[] sources)
    {
        _family = family;
        _sources = sources;
    }

    public static KeyMapping Of(MappingModel model, KeyFamily family) =>
        new(family, [.. family.Identifiers.Select(identifier => model.Sources[identifier].Value)]);

    /// <summary>Adds the keys that this event names: one, none when an identifier is missing, several where a list brings them.</summary>
    public void AddKeys(
        string eventType,
        JsonElement data,
        IReadOnlyDictionary<string, string> metadata,
        List<EntryKey> keys,
        ICollection<string>? missing
    )
    {
        var values = new List<string>[_sources.Length];
        for (var i = 0; i < _sources.Length; i++)
        {
            values[i] = ValuesOf(_sources[i], data, metadata);
            if (values[i].Count > 0)
                continue;
            missing?.Add(
                $"Event \"{eventType}\" has no {Describe(_sources[i])}, so no key of family \"{_family.Name}\" was invalidated by it."
            );
            return;
        }

        foreach (var first in values[0])
        {
            foreach (var second in values.Length > 1 ? values[1] : [null!])
            {
                foreach (var third in values.Length > 2 ? values[2] : [null!])
                    keys.Add(new EntryKey(_family, first, second, third));
            }
        }
    }

    private static List<string> ValuesOf(IdentifierSource source, JsonElement data, IReadOnlyDictionary<string, string> metadata)
    {
        if (source.Constant is not null)
            return [source.Constant];
        if (source.FromMetadata)
            return metadata.TryGetValue(source.Path[0], out var value) && value.Length > 0 ? [value] : [];
        foreach (var name in source.Path)
        {
            if (!TryGet(data, name, out data))
                return [];
        }

        if (data.ValueKind != JsonValueKind.Array)
            return TextOf(data) is { } one ? [one] : [];
        var all = new List<string>(data.GetArrayLength());
        foreach (var item in data.EnumerateArray())
        {
            if (TextOf(item) is { } text)
                all.Add(text);
        }

        return all;
    }

    /// <summary>Publishers may write names as C# does or as JavaScript does: a difference in case must not leave a stale entry behind.</summary>
    private static bool TryGet(JsonElement parent, string name, out JsonElement child)
    {
        child = default;
        if (parent.ValueKind != JsonValueKind.Object)
            return false;
        if (parent.TryGetProperty(name, out child))
            return true;
        foreach (var property in parent.EnumerateObject())
        {
            if (!string.Equals(property.Name, name, StringComparison.OrdinalIgnoreCase))
                continue;
            child = property.Value;
            return true;
        }

        return false;
    }

    private static string? TextOf(JsonElement value) =>
        value.ValueKind switch
        {
            JsonValueKind.String when value.GetString() is { Length: > 0 } text => text,
            JsonValueKind.Number => value.GetRawText(),
            JsonValueKind.True => "true",
            JsonValueKind.False => "false",
            _ => null,
        };

    private static string Describe(IdentifierSource source) =>
        source.FromMetadata ? $"\"{source.Path[0]}\" in its metadata" : $"\"{string.Join('.', source.Path)}\" in its payload";
}
