using System.Buffers;

namespace Onggi.Client;

/// <summary>A value in memory from the pool. Dispose it once, when it has been read; after that its bytes belong to somebody else.</summary>
/// <remarks>Copies of it share the same memory: only one of them is to be disposed. One that is never disposed is left to the garbage collector.</remarks>
public readonly struct PooledBytes : IDisposable
{
    private readonly byte[]? _bytes;

    internal PooledBytes(ReadOnlySpan<byte> value)
    {
        _bytes = value.IsEmpty ? [] : ArrayPool<byte>.Shared.Rent(value.Length);
        value.CopyTo(_bytes);
        Length = value.Length;
    }

    /// <summary>There was no value: Redis answered with null.</summary>
    public bool IsNull => _bytes is null;

    /// <summary>How many bytes the value has.</summary>
    public int Length { get; }

    /// <summary>The value; empty for null.</summary>
    public ReadOnlyMemory<byte> Memory => _bytes.AsMemory(0, Length);

    /// <inheritdoc cref="Memory"/>
    public ReadOnlySpan<byte> Span => _bytes.AsSpan(0, Length);

    /// <summary>Gives the memory back.</summary>
    public void Dispose()
    {
        if (_bytes is { Length: > 0 })
            ArrayPool<byte>.Shared.Return(_bytes);
    }
}
