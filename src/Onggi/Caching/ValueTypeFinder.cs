using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using Onggi.Keys.Catalog;

namespace Onggi.Caching;

/// <summary>Finds the CLR type that the catalog names, for the check at start. Not finding one is no mistake: then this program has no keys of that family.</summary>
internal static class ValueTypeFinder
{
    private const string NothingIsLost =
        "What trimming or missing dynamic code hides is left out of a check that only tells mistakes early; the first use of such a type tells the same.";

    /// <summary>The type; <c>null</c> when no loaded assembly has it.</summary>
    public static Type? Find(string name) => ClrTypeName.TryParse(name, out var parsed) ? Find(parsed!) : null;

    private static Type? Find(ClrTypeName name)
    {
        var type = name.Arguments.Count > 0 ? FindGeneric(name) : Keyword(name.Name) ?? FindLoaded(name.Name);
        return type is null ? null : WithSuffix(type, name.Suffix);
    }

    [UnconditionalSuppressMessage("Trimming", "IL2055", Justification = NothingIsLost)]
    [UnconditionalSuppressMessage("AOT", "IL3050", Justification = NothingIsLost)]
    private static Type? FindGeneric(ClrTypeName name)
    {
        var arguments = name.Arguments.Select(Find).ToArray();
        return
            RuntimeFeature.IsDynamicCodeSupported
            && !arguments.Contains(null)
            && FindLoaded($"{name.Name}`{arguments.Length}") is { IsGenericTypeDefinition: true } definition
            ? definition.MakeGenericType(arguments!)
            : null;
    }

    [UnconditionalSuppressMessage("Trimming", "IL2026", Justification = NothingIsLost)]
    private static Type? FindLoaded(string name)
    {
        // The last dots may stand between a type and those inside it: A.B.C is A.B+C, or A+B+C.
        for (
            var tried = name;
            ;
            tried = string.Concat(tried.AsSpan(0, tried.LastIndexOf('.')), "+", tried.AsSpan(tried.LastIndexOf('.') + 1))
        )
        {
            foreach (var assembly in AppDomain.CurrentDomain.GetAssemblies())
            {
                if (!assembly.IsDynamic && assembly.GetType(tried, throwOnError: false) is { } type)
                    return type;
            }

            if (!tried.Contains('.', StringComparison.Ordinal))
                return null;
        }
    }

    [UnconditionalSuppressMessage("AOT", "IL3050", Justification = NothingIsLost)]
    private static Type? WithSuffix(Type type, string suffix)
    {
        foreach (var part in suffix.Replace("[]", "[", StringComparison.Ordinal))
        {
            if (!RuntimeFeature.IsDynamicCodeSupported)
                return null;
            if (part == '[')
                type = type.MakeArrayType();
            else if (type.IsValueType && Nullable.GetUnderlyingType(type) is null)
                type = typeof(Nullable<>).MakeGenericType(type);
        }

        return type;
    }

    private static Type? Keyword(string name) =>
        name switch
        {
            "bool" => typeof(bool),
            "byte" => typeof(byte),
            "sbyte" => typeof(sbyte),
            "short" => typeof(short),
            "ushort" => typeof(ushort),
            "int" => typeof(int),
            "uint" => typeof(uint),
            "long" => typeof(long),
            "ulong" => typeof(ulong),
            "float" => typeof(float),
            "double" => typeof(double),
            "decimal" => typeof(decimal),
            "char" => typeof(char),
            "string" => typeof(string),
            "object" => typeof(object),
            _ => null,
        };
}
