using Microsoft.CodeAnalysis;
using Onggi.Keys.Catalog;

namespace Onggi.Generators;

/// <summary>Finds the types that the catalog names.</summary>
internal static class CatalogTypes
{
    /// <summary>The first name in the type that nobody declares; <c>null</c> when all are known.</summary>
    public static string? Missing(ClrTypeName type, Compilation compilation)
    {
        if (!type.IsKeyword && Named(type, compilation) is null)
            return type.Name;
        return type.Arguments.Select(argument => Missing(argument, compilation)).FirstOrDefault(missing => missing is not null);
    }

    /// <summary>The type with its arguments, arrays and question marks; <c>null</c> when nobody declares it.</summary>
    public static ITypeSymbol? Find(ClrTypeName name, Compilation compilation)
    {
        ITypeSymbol? type = name.IsKeyword ? compilation.GetSpecialType(Keyword(name.Name)) : Named(name, compilation);
        if (name.Arguments.Count > 0)
        {
            var arguments = name.Arguments.Select(argument => Find(argument, compilation)).OfType<ITypeSymbol>().ToArray();
            type = arguments.Length == name.Arguments.Count ? (type as INamedTypeSymbol)?.Construct(arguments) : null;
        }

        foreach (var part in name.Suffix.Replace("[]", "["))
        {
            if (type is null)
                return null;
            if (part == '[')
                type = compilation.CreateArrayTypeSymbol(type);
            else if (type is { IsValueType: true, OriginalDefinition.SpecialType: not SpecialType.System_Nullable_T })
                type = compilation.GetSpecialType(SpecialType.System_Nullable_T).Construct(type);
        }

        return type;
    }

    /// <summary>Looks for the type in its namespace, then as a type nested in another: C# writes both with dots.</summary>
    private static INamedTypeSymbol? Named(ClrTypeName type, Compilation compilation)
    {
        var arity = type.Arguments.Count == 0 ? "" : "`" + type.Arguments.Count.ToString(System.Globalization.CultureInfo.InvariantCulture);
        var name = type.Name;
        while (true)
        {
            if (compilation.GetTypesByMetadataName(name + arity) is [var found, ..])
                return found;
            var dot = name.LastIndexOf('.');
            if (dot < 0)
                return null;
            name = name.Substring(0, dot) + "+" + name.Substring(dot + 1);
        }
    }

    private static SpecialType Keyword(string name) =>
        name switch
        {
            "bool" => SpecialType.System_Boolean,
            "byte" => SpecialType.System_Byte,
            "sbyte" => SpecialType.System_SByte,
            "short" => SpecialType.System_Int16,
            "ushort" => SpecialType.System_UInt16,
            "int" => SpecialType.System_Int32,
            "uint" => SpecialType.System_UInt32,
            "long" => SpecialType.System_Int64,
            "ulong" => SpecialType.System_UInt64,
            "float" => SpecialType.System_Single,
            "double" => SpecialType.System_Double,
            "decimal" => SpecialType.System_Decimal,
            "char" => SpecialType.System_Char,
            "string" => SpecialType.System_String,
            _ => SpecialType.System_Object,
        };
}
