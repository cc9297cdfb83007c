using System.Collections.Concurrent;
using System.ComponentModel;

namespace Onggi.Caching;

/// <summary>The types of values that nobody can change after they were made, as the generator found them by their structure. Generated code fills it.</summary>
/// <remarks>
/// It belongs to the process, as the types do. A project's generated code fills it before the first of the project's keys is made, so the cache
/// asks only after that. To say the same of a type by hand there is <see cref="CacheOptions.TreatAsImmutable{T}"/>.
/// </remarks>
[EditorBrowsable(EditorBrowsableState.Never)]
public static class ImmutableValueTypes
{
    private static readonly ConcurrentDictionary<Type, bool> Types = new();

    /// <summary>Adds a type. Generated code calls it.</summary>
    /// <typeparam name="T">The type as the cache key names it.</typeparam>
    public static void Add<T>() => Types[typeof(T)] = true;

    internal static bool Contains(Type type) => Types.ContainsKey(type);
}
