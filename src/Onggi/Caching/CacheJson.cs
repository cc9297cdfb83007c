using System.Collections.Concurrent;
using System.ComponentModel;
using System.Diagnostics.CodeAnalysis;
using System.Reflection;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;
using Onggi.Keys;

namespace Onggi.Caching;

/// <summary>The user's source-generated JSON, looked up once per type. There is no fallback to reflection.</summary>
/// <remarks>
/// Reading is a little stricter than the serializer's default: a parameter of a record's constructor that is neither nullable nor optional
/// must be in the JSON. Otherwise any object whatever would read as a record full of nulls, and a value of another shape would pass for data.
/// </remarks>
internal sealed class CacheJson
{
    private readonly ConcurrentDictionary<Type, object> _codecs = new();
    private readonly JsonSerializerOptions? _options;
    private readonly CacheOptions _cacheOptions;

    public CacheJson(IJsonTypeInfoResolver? resolver, CacheOptions cacheOptions)
    {
        _cacheOptions = cacheOptions;
        if (resolver is null)
            return;
        _options = resolver is JsonSerializerContext context
            ? new JsonSerializerOptions(context.Options)
            : new JsonSerializerOptions(JsonSerializerDefaults.Web);
        _options.TypeInfoResolver = resolver.WithAddedModifier(LetNullableBeAbsent);
        // Where defaults are left out on writing, an absent parameter is the normal case.
        _options.RespectRequiredConstructorParameters |= _options.DefaultIgnoreCondition != JsonIgnoreCondition.WhenWritingDefault;
        _options.MakeReadOnly();
    }

    /// <summary>How values of <typeparamref name="T"/> become JSON and back.</summary>
    /// <exception cref="InvalidOperationException">The resolver does not know the type; the message says which line to add.</exception>
    public CacheCodec<T> Codec<T>() => (CacheCodec<T>)_codecs.GetOrAdd(typeof(T), static (_, json) => json.MakeCodec<T>(), this);

    /// <summary>Checks at start that every type which the catalog names as a value can be written and read.</summary>
    /// <exception cref="InvalidOperationException">Some cannot; the message lists the lines to add.</exception>
    public void VerifyTypes(Keyspace keyspace)
    {
        var missing = new SortedSet<string>(StringComparer.Ordinal);
        foreach (var family in keyspace.Families)
        {
            // Bytes are what ASP.NET's caches keep, as they are. Who wants JSON of them is told at the first use.
            if (family.ValueType is { } name && ValueTypeFinder.Find(name) is { } type && type != typeof(byte[]) && !Knows(type))
                missing.Add($"[JsonSerializable(typeof({CSharpName(type)}))]   // the values of the family {family.Family.Name}");
        }

        if (missing.Count > 0)
        {
            throw new InvalidOperationException(
                (
                    _options is null
                        ? "OnggiOptions.Json is not set. Write options.Json = MyJson.Default, where MyJson is a JsonSerializerContext with:"
                        : $"The catalog names {missing.Count} value type(s) that the JsonSerializerContext in OnggiOptions.Json does not know. Add to it:"
                ) + string.Concat(missing.Select(static line => Environment.NewLine + "  " + line))
            );
        }
    }

    private CacheCodec<T> MakeCodec<T>()
    {
        if (_options is null || !_options.TryGetTypeInfo(typeof(T), out var info))
        {
            throw new InvalidOperationException(
                $"The cache cannot write or read {CSharpName(typeof(T))} as JSON. Add [JsonSerializable(typeof({CSharpName(typeof(T))}))] to your JsonSerializerContext"
                    + (_options is null ? " and give it as OnggiOptions.Json; none is given." : ", the one given as OnggiOptions.Json.")
            );
        }

        return new CacheCodec<T>((JsonTypeInfo<T>)info, IsImmutable(typeof(T)));
    }

    private bool Knows(Type type) => _options is not null && _options.TryGetTypeInfo(type, out _);

    private bool IsImmutable(Type type) =>
        IsSimple(Nullable.GetUnderlyingType(type) ?? type)
        || ImmutableValueTypes.Contains(type)
        || type.GetCustomAttribute<ImmutableObjectAttribute>(inherit: false) is { Immutable: true }
        || _cacheOptions.IsDeclaredImmutable(type);

    private static bool IsSimple(Type type) =>
        type.IsPrimitive
        || type.IsEnum
        || type == typeof(string)
        || type == typeof(decimal)
        || type == typeof(Guid)
        || type == typeof(DateTime)
        || type == typeof(DateTimeOffset)
        || type == typeof(DateOnly)
        || type == typeof(TimeOnly)
        || type == typeof(TimeSpan)
        || type == typeof(Uri)
        || type == typeof(Version);

    // Writers in other languages, and contexts that leave nulls out, omit what is null. `required` members stay as the user wrote them.
    private static void LetNullableBeAbsent(JsonTypeInfo info)
    {
        foreach (var property in info.Properties)
        {
            if (property is { IsRequired: true, AssociatedParameter: { IsNullable: true, IsMemberInitializer: false } })
                property.IsRequired = false;
        }
    }

    /// <summary>The type as one writes it in C#: <c>System.Collections.Generic.List&lt;Shop.Product&gt;</c>.</summary>
    internal static string CSharpName(Type type)
    {
        if (type.IsArray)
            return CSharpName(type.GetElementType()!) + "[" + new string(',', type.GetArrayRank() - 1) + "]";
        if (Nullable.GetUnderlyingType(type) is { } underlying)
            return CSharpName(underlying) + "?";
        var name = new StringBuilder();
        var arguments = new Queue<Type>(type.GetGenericArguments());
        foreach (var part in (type.FullName ?? type.Name).Split('[', 2)[0].Split('+'))
        {
            name.Append(name.Length > 0 ? "." : "");
            var tick = part.IndexOf('`', StringComparison.Ordinal);
            if (tick < 0)
            {
                name.Append(part);
                continue;
            }

            var count = int.Parse(part.AsSpan(tick + 1));
            var own = Enumerable.Range(0, count).Select(_ => CSharpName(arguments.Dequeue()));
            name.Append(part.AsSpan(0, tick)).Append('<').AppendJoin(", ", own).Append('>');
        }

        return name.ToString();
    }
}

/// <summary>Writes and reads values of one type.</summary>
/// <typeparam name="T">The type as the cache key names it.</typeparam>
internal sealed class CacheCodec<T>(JsonTypeInfo<T> info, bool isImmutable)
{
    /// <summary>Whether all callers may be given the same object.</summary>
    public bool IsImmutable { get; } = isImmutable;

    /// <summary>The exact JSON that goes into Redis. It throws what the serializer and the user's own code throw.</summary>
    public byte[] Encode(T? value) => value is null ? "null"u8.ToArray() : JsonSerializer.SerializeToUtf8Bytes(value, info);

    /// <summary>The value; <c>null</c> for JSON <c>null</c>. It throws what the serializer and the user's own code throw.</summary>
    /// <exception cref="JsonException">It is not JSON, or of another shape.</exception>
    public T? Decode(byte[] json)
    {
        var value = JsonSerializer.Deserialize(json, info);
        if (value is not null || IsNullLiteral(json))
            return value;
        throw new JsonException("The JSON was read as null although it is not the word null.");
    }

    /// <summary>The same, for values that others may have written: whatever goes wrong is a reason, not an exception.</summary>
    /// <remarks>It catches everything, as constructors and converters of the user's own run inside.</remarks>
    public bool TryDecode(byte[] json, out T? value, [NotNullWhen(false)] out Exception? reason)
    {
        try
        {
            value = Decode(json);
            reason = null;
            return true;
        }
        catch (Exception error)
        {
            value = default;
            reason = error;
            return false;
        }
    }

    private static bool IsNullLiteral(ReadOnlySpan<byte> json) => json.Trim(" \t\r\n"u8).SequenceEqual("null"u8);
}
