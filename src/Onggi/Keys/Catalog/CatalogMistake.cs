namespace Onggi.Keys.Catalog;

/// <summary>The kinds of mistakes a catalog can have. The numbers are public (<c>ONGGI007</c>): never reuse one.</summary>
internal enum MistakeCode
{
    BrokenJson = 1,
    UnknownField = 2,
    MissingField = 3,
    WrongType = 4,
    DuplicateName = 5,
    BadName = 6,
    BadDuration = 7,
    BadSize = 8,
    BadPercent = 9,
    UnknownWord = 10,
    TtlOutsideRules = 11,
    LimitExceeded = 12,
    FieldOfOtherKind = 13,
    BadPattern = 14,
    BadIdentifier = 15,
    ReservedNamespace = 16,
    OverlappingFamilies = 17,
    UnknownService = 18,
    UnknownEvent = 19,
    UnknownFamily = 20,
    BadMapping = 21,
    EventDisagreement = 22,
    SharesExceeded = 23,
    GeneratedNameCollision = 24,
    BadPrefix = 25,
    UnknownEnvironment = 26,
    BadTypeName = 27,
    TypeNotFound = 28,
    SecondCatalog = 29,
    MissingSecret = 30,

    /// <summary>Advice of the generator, not a mistake.</summary>
    MutableValue = 31,
}

/// <summary>One mistake in the catalog: where, what, why it is one, and what to write instead.</summary>
internal sealed class CatalogMistake
{
    public CatalogMistake(MistakeCode code, JsonNode? node, string what, string why, string write)
    {
        Code = code;
        Line = node?.Line ?? 1;
        Column = node?.Column ?? 1;
        Offset = node?.Offset ?? 0;
        Length = node?.Length ?? 1;
        What = what;
        Why = why;
        Write = write;
    }

    public MistakeCode Code { get; }

    /// <summary>The code as compilers write it: <c>ONGGI007</c>.</summary>
    public string Id => "ONGGI" + ((int)Code).ToString("000", System.Globalization.CultureInfo.InvariantCulture);

    public int Line { get; }

    public int Column { get; }

    public int Offset { get; }

    public int Length { get; }

    public string What { get; }

    public string Why { get; }

    /// <summary>What to write instead.</summary>
    public string Write { get; }

    public string Message => string.Join(" ", new[] { What, Why, Write }.Where(part => part.Length > 0));

    public override string ToString() => $"line {Line}, column {Column}: {Id}: {Message}";
}
