namespace Onggi.Client.Resp;

/// <summary>What a frame may be at the most; checked on its headers, before anything is kept for it.</summary>
internal sealed record RespLimits
{
    public static readonly RespLimits Default = new();

    /// <summary>How deep aggregates may nest.</summary>
    public int MaxDepth { get; init; } = 128;

    /// <summary>How many elements one aggregate may announce.</summary>
    public int MaxCount { get; init; } = 1 << 26;

    /// <summary>How long one string may be: Redis' own <c>proto-max-bulk-len</c>.</summary>
    public int MaxLength { get; init; } = 512 << 20;

    /// <summary>How long a line (simple string, error, number, header) may be.</summary>
    public int MaxLine { get; init; } = 64 << 10;
}
