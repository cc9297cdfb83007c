using System.Runtime.CompilerServices;
using Onggi.Keys;

namespace Onggi.Caching;

/// <summary>One value in memory: the JSON as Redis gave it, and the object itself once a caller has made it and its type is safe to share.</summary>
/// <remarks>What a hit reads stands first, so that it lies together.</remarks>
internal sealed class ProvenEntry
{
    /// <summary>The generation of what was taken out of memory: no proof is ever of this one.</summary>
    internal const long Removed = -1;

    private readonly string _first;
    private readonly KeyFamily _keyFamily;
    private readonly string? _second;
    private readonly string? _third;
    private readonly ProvenMemory _memory;
    private object? _codec;
    private object? _value;
    private long _generation;
    private long _expires;
    private int _sharing;

    internal ProvenEntry(ProvenMemory memory, in EntryKey key, uint hash, string wireName, CacheFamily family, byte[] json)
    {
        _memory = memory;
        _keyFamily = key.Family;
        _first = key.First;
        _second = key.Second;
        _third = key.Third;
        Hash = hash;
        WireName = wireName;
        Family = family;
        Json = json;
    }

    public readonly CacheFamily Family;
    public readonly byte[] Json;
    public readonly string WireName;

    public EntryKey Key => new(_keyFamily, _first, _second, _third);

    /// <summary>The connection it came over; <see cref="Removed"/> from the moment at which it is taken out of memory.</summary>
    public long Generation
    {
        get => Volatile.Read(ref _generation);
        internal set => Volatile.Write(ref _generation, value);
    }

    /// <summary>The millisecond, by the clock of memory, from which it is not served; 0 while it is only a ticket, which is never served.</summary>
    public long Expires
    {
        get => Volatile.Read(ref _expires);
        internal set => Volatile.Write(ref _expires, value);
    }

    /// <summary>The millisecond from which a hit should start a refresh ahead of expiry; <see cref="long.MaxValue"/> for never.</summary>
    public long RefreshAt { get; internal set; }

    /// <summary>What it takes; an estimate.</summary>
    public long Bytes { get; internal set; }

    /// <summary>The <see cref="CacheCodec{T}"/> that made <see cref="Value"/>, which tells the type, too; <c>null</c> while there is no shared object.</summary>
    public object? Codec => Volatile.Read(ref _codec);

    /// <summary>The shared object; <c>null</c> also stands for JSON <c>null</c>. Read it after <see cref="Codec"/>.</summary>
    public object? Value => _value;

    internal readonly uint Hash;

    /// <summary>Whether there was a hit since the hand of <see cref="EvictionQueue"/> came by.</summary>
    internal bool Used;

    // The neighbours in order of arrival, for the queue alone.
    internal ProvenEntry? Older;
    internal ProvenEntry? Newer;

    /// <summary>The shared object, if there is one and it is of this type.</summary>
    /// <returns><c>false</c>: decode <see cref="Json"/>.</returns>
    public bool TryGetShared<T>(out T? value)
    {
        if (Codec is CacheCodec<T>)
        {
            // The codec says that it is a T or null, and a boxed one where T is a value type.
            value = typeof(T).IsValueType ? (T?)_value : Unsafe.As<object?, T?>(ref _value);
            return true;
        }

        value = default;
        return false;
    }

    /// <summary>Offers the object that a caller made of <see cref="Json"/>, for all callers from now on. The first offer stays.</summary>
    /// <remarks>Only for types that are safe to share. Once, because codec and value are two fields that must fit each other for who reads without a lock.</remarks>
    /// <returns><c>false</c> when there is a shared object already.</returns>
    public bool TryShare<T>(CacheCodec<T> codec, T? value)
    {
        if (Interlocked.Exchange(ref _sharing, 1) != 0)
            return false;
        _value = value;
        Volatile.Write(ref _codec, codec);
        _memory.Shared(this);
        return true;
    }

    // The same family object means the same number of identifiers, so the first one is all there is when the second is missing.
    internal bool IsFor(in EntryKey key) =>
        ReferenceEquals(_keyFamily, key.Family)
            ? _first == key.First && (key.Second is null || (_second == key.Second && _third == key.Third))
            : Key.Equals(key);
}
