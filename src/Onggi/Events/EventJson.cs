using System.Diagnostics.CodeAnalysis;
using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;

namespace Onggi.Events;

/// <summary>Finds how a type is read and written: first among the library's own types, then as the user's <see cref="JsonSerializerContext"/> says.</summary>
internal sealed class EventJson
{
    private readonly JsonSerializerContext _own;
    private readonly IJsonTypeInfoResolver? _user;
    private readonly JsonSerializerOptions? _options;

    /// <param name="own">The types of the feature itself.</param>
    /// <param name="user">The user's resolver; <c>null</c> for none.</param>
    public EventJson(JsonSerializerContext own, IJsonTypeInfoResolver? user)
    {
        _own = own;
        _user = user;
        // A context brings its own options (names, converters); a bare resolver has none, and gets those of the web.
        if (user is not (null or JsonSerializerContext))
        {
            _options = new JsonSerializerOptions(JsonSerializerDefaults.Web) { TypeInfoResolver = user };
            _options.MakeReadOnly();
        }
    }

    /// <summary>How <typeparamref name="T"/> is read and written.</summary>
    /// <exception cref="InvalidOperationException">Nobody knows the type; the message has the line to add.</exception>
    public JsonTypeInfo<T> Of<T>() =>
        (JsonTypeInfo<T>?)(_own.GetTypeInfo(typeof(T)) ?? OfUser(typeof(T)))
        ?? throw new InvalidOperationException(
            $"The JSON form of {typeof(T)} is not known. Add [JsonSerializable(typeof({typeof(T).Name}))] to your JsonSerializerContext"
                + (_user is null ? " and hand it over: options.Json = YourContext.Default." : ".")
        );

    /// <summary>Which types that the catalog names cannot be written and read, as the lines to add. Types that this program does not have cannot be missing.</summary>
    /// <param name="named">The full names, and what each is.</param>
    public IReadOnlyList<string> Missing(IEnumerable<(string? Type, string Use)> named) =>
        [
            .. named
                .Where(one => one.Type is not null && FindType(one.Type) is { } type && (_own.GetTypeInfo(type) ?? OfUser(type)) is null)
                .Select(one => $"[JsonSerializable(typeof({one.Type!.Replace('+', '.')}))]   // {one.Use}")
                .Order(StringComparer.Ordinal),
        ];

    /// <summary>The type of that full name among those that are loaded; <c>null</c> when there is none.</summary>
    [UnconditionalSuppressMessage(
        "Trimming",
        "IL2026",
        Justification = "A type that trimming removed is neither written nor read by this program; leaving it out of the check loses nothing."
    )]
    private static Type? FindType(string fullName) =>
        AppDomain
            .CurrentDomain.GetAssemblies()
            .Where(assembly => !assembly.IsDynamic)
            .Select(assembly => assembly.GetType(fullName, throwOnError: false))
            .FirstOrDefault(type => type is not null);

    private JsonTypeInfo? OfUser(Type type)
    {
        if (_user is JsonSerializerContext context)
            return context.GetTypeInfo(type);
        return _options is not null && _options.TryGetTypeInfo(type, out var info) ? info : null;
    }
}
