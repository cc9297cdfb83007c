using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp.Syntax;

namespace Onggi.Generators;

/// <summary>Why an object can change after it was made, and what to write so that it cannot.</summary>
internal sealed class Mutability(string what, string write, ISymbol? symbol)
{
    /// <summary>What can change, in words: <c>Shop.Basket.Things can be set after the object was made</c>.</summary>
    public string What { get; } = what;

    public string Write { get; } = write;

    /// <summary>Where that stands in the project's code; <c>null</c> when it does not.</summary>
    public Location? Location { get; } = symbol?.Locations.FirstOrDefault(place => place.IsInSource);
}

/// <summary>Tells from a type's structure whether its objects can change after they were made, so that all callers may be given the same one.</summary>
/// <remarks>
/// When in doubt they can: the price of a wrong "mutable" is a copy, that of a wrong "immutable" a value that one caller changes under another.
/// Only what the project itself declares can be judged: of other assemblies the compiler is shown no private members.
/// </remarks>
internal sealed class Immutability
{
    // Generic types that hold ever larger versions of themselves would never end.
    private const int Deepest = 32;

    private const string Fix = "or, if nobody ever changes its objects, mark it [System.ComponentModel.ImmutableObject(true)].";

    /// <summary>Types that the base class library made immutable, and which the cache knows without being told.</summary>
    private static readonly HashSet<string> Simple = new(StringComparer.Ordinal)
    {
        "System.Guid",
        "System.DateTimeOffset",
        "System.DateOnly",
        "System.TimeOnly",
        "System.TimeSpan",
        "System.Uri",
        "System.Version",
    };

    private static readonly HashSet<string> AlsoSimple = new(StringComparer.Ordinal)
    {
        "System.Half",
        "System.Int128",
        "System.UInt128",
        "System.Numerics.BigInteger",
        "System.Text.Json.JsonElement",
    };

    /// <summary>Immutable when what they hold is.</summary>
    /// <remarks>
    /// The interfaces are among them although a caller could cast: the serializer makes the list behind one for this value alone, and nobody
    /// is promised that it is one.
    /// </remarks>
    private static readonly HashSet<string> Containers = new(StringComparer.Ordinal)
    {
        "System.Nullable`1",
        "System.Collections.Generic.KeyValuePair`2",
        "System.Collections.Generic.IReadOnlyCollection`1",
        "System.Collections.Generic.IReadOnlyDictionary`2",
        "System.Collections.Generic.IReadOnlyList`1",
        "System.Collections.Generic.IReadOnlySet`1",
        "System.Collections.Frozen.FrozenDictionary`2",
        "System.Collections.Frozen.FrozenSet`1",
        "System.Collections.Immutable.ImmutableArray`1",
        "System.Collections.Immutable.ImmutableDictionary`2",
        "System.Collections.Immutable.ImmutableHashSet`1",
        "System.Collections.Immutable.ImmutableList`1",
        "System.Collections.Immutable.ImmutableQueue`1",
        "System.Collections.Immutable.ImmutableSortedDictionary`2",
        "System.Collections.Immutable.ImmutableSortedSet`1",
        "System.Collections.Immutable.ImmutableStack`1",
    };

    private readonly Compilation _compilation;

    // All types that a value can hold are visited until one is found that can change: one that was met before needs no second look.
    private readonly HashSet<ITypeSymbol> _met = new(SymbolEqualityComparer.Default);

    private Immutability(Compilation compilation) => _compilation = compilation;

    /// <summary>Whether the cache knows of the type without being told.</summary>
    public static bool IsSimple(ITypeSymbol type) =>
        type.TypeKind == TypeKind.Enum
        || type.SpecialType
            is SpecialType.System_String
                or SpecialType.System_DateTime
                or SpecialType.System_Decimal
                or (>= SpecialType.System_Boolean and <= SpecialType.System_Double)
        || Simple.Contains(Name(type))
        || (
            type is INamedTypeSymbol { OriginalDefinition.SpecialType: SpecialType.System_Nullable_T } nullable
            && IsSimple(nullable.TypeArguments[0])
        );

    /// <summary>What makes objects of the type mutable; <c>null</c> when nothing does.</summary>
    public static Mutability? Find(ITypeSymbol type, Compilation compilation) => new Immutability(compilation).Find(type, 0);

    private Mutability? Find(ITypeSymbol type, int depth)
    {
        if (IsSimple(type) || AlsoSimple.Contains(Name(type)) || IsMarked(type) || !_met.Add(type))
            return null;
        if (depth > Deepest)
            return new Mutability($"{Words(type)} holds types without end", $"Write it without them, {Fix}", type);
        return type switch
        {
            IErrorTypeSymbol => new Mutability($"{Words(type)} cannot be seen here", "Declare it in this project.", null),
            IArrayTypeSymbol => Collection(type),
            INamedTypeSymbol named when Containers.Contains(Name(named)) => First(named.TypeArguments, depth),
            INamedTypeSymbol { TypeKind: TypeKind.Class or TypeKind.Struct } named when IsCollection(named) => Collection(named),
            INamedTypeSymbol { TypeKind: TypeKind.Class or TypeKind.Struct } named => Members(named, depth),
            _ => new Mutability($"{Words(type)} can hold objects of any class", "Name a sealed class or record.", type),
        };
    }

    private Mutability? Members(INamedTypeSymbol type, int depth)
    {
        if (type.SpecialType == SpecialType.System_Object)
            return new Mutability("object can be anything", "Name a sealed class or record.", null);
        if (!SymbolEqualityComparer.Default.Equals(type.ContainingAssembly, _compilation.Assembly))
            return new Mutability(
                $"{Words(type)} comes from another assembly, whose private members cannot be seen here",
                $"Declare it in this project, {Fix}",
                null
            );
        if (type is { IsSealed: false, IsValueType: false })
            return new Mutability(
                $"{Words(type)} is not sealed, so a value may be of a class that can change",
                $"Make it a sealed record, {Fix}",
                type
            );
        if (type is { IsValueType: true, IsReadOnly: false })
            return new Mutability($"{Words(type)} is a struct that is not readonly", "Make it a readonly struct.", type);
        for (
            var declared = type;
            declared is not null && declared.SpecialType is not (SpecialType.System_Object or SpecialType.System_ValueType);
            declared = declared.BaseType
        )
        {
            if (!SymbolEqualityComparer.Default.Equals(declared.ContainingAssembly, _compilation.Assembly))
                return new Mutability(
                    $"{Words(type)} inherits from {Words(declared)} of another assembly, whose private members cannot be seen here",
                    $"Write it without, {Fix}",
                    type
                );
            if (Own(declared, depth) is { } found)
                return found;
        }

        return null;
    }

    /// <summary>What a type declares itself, without what it inherits.</summary>
    private Mutability? Own(INamedTypeSymbol type, int depth)
    {
        if (Declarations(type).Any(declaration => declaration.Modifiers.Any(modifier => modifier.ValueText == "partial")))
            return new Mutability(
                $"{Words(type)} is partial, and other generators may add what cannot be seen here",
                $"Declare it in one place, {Fix}",
                type
            );
        foreach (var field in type.GetMembers().OfType<IFieldSymbol>())
        {
            if (field.IsStatic || field.IsConst)
                continue;
            if (Settable(field) is { } settable)
                return settable;
            // What a member holds is at fault, and named by that; where the fault has no name of its own, the member is.
            if (Find(field.Type, depth + 1) is { } held)
                return held.Location is null
                    ? new Mutability($"{Words(field.AssociatedSymbol ?? field)}: {held.What}", held.Write, field.AssociatedSymbol ?? field)
                    : held;
        }

        return type.GetMembers().OfType<IEventSymbol>().FirstOrDefault(happened => !happened.IsStatic) is { } subscribed
            ? new Mutability(
                $"{Words(subscribed)} is an event: who subscribes changes the object",
                "Write the type without it.",
                subscribed
            )
            : null;
    }

    private static Mutability? Settable(IFieldSymbol field) =>
        field.AssociatedSymbol switch
        {
            _ when field.IsReadOnly => null,
            IPropertySymbol { SetMethod: { IsInitOnly: false } } property => new Mutability(
                $"{Words(property)} can be set after the object was made",
                $"Make it {{ get; init; }}, or {property.ContainingType.Name} a sealed record.",
                property
            ),
            IPropertySymbol property => new Mutability(
                $"{Words(property)} changes what it keeps when it is read",
                "Compute it when the object is made.",
                property
            ),
            // What a class keeps of its own parameter list is called <name>P.
            null when field.IsImplicitlyDeclared => new Mutability(
                $"{Words(field.ContainingType)} keeps its constructor's parameter \"{field.Name.TrimStart('<').TrimEnd('P').TrimEnd('>')}\" and could change it",
                "Keep it in a property { get; } = …, or make the type a record.",
                field.ContainingType
            ),
            _ => new Mutability($"{Words(field)} is not readonly", "Make it readonly, or a property { get; init; }.", field),
        };

    private static IEnumerable<TypeDeclarationSyntax> Declarations(INamedTypeSymbol type) =>
        type.DeclaringSyntaxReferences.Select(reference => reference.GetSyntax()).OfType<TypeDeclarationSyntax>();

    private Mutability? First(IEnumerable<ITypeSymbol> types, int depth) =>
        types.Select(type => Find(type, depth + 1)).FirstOrDefault(found => found is not null);

    private static Mutability Collection(ITypeSymbol type) =>
        new(
            $"{Words(type)} can be changed by everybody who has it",
            "Write an immutable collection, or IReadOnlyList<…> or IReadOnlyDictionary<…>.",
            null
        );

    private static bool IsCollection(ITypeSymbol type) => Name(type).StartsWith("System.Collections.", StringComparison.Ordinal);

    private static bool IsMarked(ITypeSymbol type) =>
        type.GetAttributes()
            .Any(attribute =>
                attribute.AttributeClass is { } named
                && Name(named) == "System.ComponentModel.ImmutableObjectAttribute"
                && attribute.ConstructorArguments is [{ Value: true }]
            );

    /// <summary>The name as metadata has it, without arguments: <c>System.Nullable`1</c>.</summary>
    private static string Name(ITypeSymbol type) =>
        type is INamedTypeSymbol { ContainingType: null, ContainingNamespace: { } space }
            ? $"{space.ToDisplayString()}.{type.MetadataName}"
            : "";

    private static string Words(ISymbol symbol) => symbol.ToDisplayString(SymbolDisplayFormat.CSharpErrorMessageFormat);
}
