using System.Runtime.CompilerServices;
using Onggi.Keys;

namespace Onggi.Caching;

/// <summary>What a hit does not read of an entry. A class of its own so that what a hit reads lies together, behind it, in two or three cache lines.</summary>
internal abstract class ProvenEntryRecord(ProvenMemory memory, in EntryKey key, string wireName, byte[] json)
{
    private protected readonly ProvenMemory Memory = memory;
    private protected readonly string? Second = key.Second;
    private protected readonly string? Third = key.Third;

    /// <summary>The value as Redis gave it.</summary>
    public readonly byte[] Json = json;

    public readonly string WireName = wireName;

    // The neighbours in order of arrival, for the queue alone.
    internal ProvenEntry? Older;
    internal ProvenEntry? Newer;

    private protected long ExpiresAt;
    private protected long RefreshesAt;
    private protected int IsSharing;
    private protected int IsRefreshing;

    /// <summary>What it takes; an estimate.</summary>
    public long Bytes { get; internal set; }
}

/// <summary>One value in memory: the JSON as Redis gave it, and the object itself once a caller has made it and its type is safe to share.</summary>
internal sealed class ProvenEntry : ProvenEntryRecord
{
    /// <summary>The generation of what was taken out of memory: no proof is ever of this one.</summary>
    internal const long Removed = -1;

    /// <summary>Its family's rules and counts.</summary>
    public readonly CacheFamily Family;

    private readonly string _first;
    private readonly ShortText _short;
    private readonly KeyFamily _keyFamily;
    private object? _codec;
    private object? _value;
    private long _generation;

    // The last millisecond before both the end and the time to refresh: up to then a hit has nothing more to ask.
    private long _lastQuiet;

    internal readonly uint Hash;

    /// <summary>Whether there was a hit since the hand of <see cref="EvictionQueue"/> came by.</summary>
    internal bool Used;

    internal ProvenEntry(ProvenMemory memory, in EntryKey key, uint hash, string wireName, CacheFamily family, byte[] json)
        : base(memory, key, wireName, json)
    {
        _keyFamily = key.Family;
        _first = key.First;
        _short = new ShortText(key.First);
        Hash = hash;
        Family = family;
    }

    public EntryKey Key => new(_keyFamily, _first, Second, Third);

    /// <summary>The connection it came over; <see cref="Removed"/> from the moment at which it is taken out of memory.</summary>
    public long Generation
    {
        get => Volatile.Read(ref _generation);
        internal set => Volatile.Write(ref _generation, value);
    }

    /// <summary>The millisecond, by the clock of memory, from which it is not served; 0 while it is only a ticket, which is never served.</summary>
    public long Expires => Volatile.Read(ref ExpiresAt);

    /// <summary>The millisecond from which a hit should start a refresh ahead of expiry; <see cref="long.MaxValue"/> for never.</summary>
    public long RefreshAt => Volatile.Read(ref RefreshesAt);

    /// <summary>The <see cref="CacheCodec{T}"/> that made <see cref="Value"/>, which tells the type, too; <c>null</c> while there is no shared object.</summary>
    public object? Codec => Volatile.Read(ref _codec);

    /// <summary>The shared object; <c>null</c> also stands for JSON <c>null</c>. Read it after <see cref="Codec"/>.</summary>
    public object? Value => _value;

    /// <summary>The shared object, if there is one and it is of this type.</summary>
    /// <returns><c>false</c>: decode <see cref="ProvenEntryRecord.Json"/>.</returns>
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

    /// <summary>The same for a hit, which is counted.</summary>
    public bool TryHit<T>(out T? value)
    {
        if (!TryGetShared(out value))
            return false;
        Family.CountMemoryHit();
        return true;
    }

    /// <summary>Offers the object that a caller made of the JSON, for all callers from now on. The first offer stays.</summary>
    /// <remarks>Only for types that are safe to share. Once, because codec and value are two fields that must fit each other for who reads without a lock.</remarks>
    /// <returns><c>false</c> when there is a shared object already.</returns>
    public bool TryShare<T>(CacheCodec<T> codec, T? value)
    {
        if (Interlocked.Exchange(ref IsSharing, 1) != 0)
            return false;
        _value = value;
        Volatile.Write(ref _codec, codec);
        Memory.Shared(this);
        return true;
    }

    /// <summary>Whether it is time to refresh it and this caller is the one to do so. <c>true</c> once per entry.</summary>
    internal bool TryTakeRefresh(long now)
    {
        if (now < RefreshAt || Interlocked.Exchange(ref IsRefreshing, 1) != 0)
            return false;
        Volatile.Write(ref _lastQuiet, Expires - 1);
        return true;
    }

    /// <summary>Sets both times. A reader sees the old ones or the new ones of each, never a mixture that serves longer than either.</summary>
    internal void SetTimes(long expires, long refreshAt)
    {
        RefreshesAt = refreshAt;
        Volatile.Write(ref ExpiresAt, expires);
        Volatile.Write(ref _lastQuiet, Math.Min(expires, refreshAt) - 1);
    }

    /// <summary>The last millisecond in which nothing but to serve it is to be done.</summary>
    internal long LastQuiet => Volatile.Read(ref _lastQuiet);

    // The same family object means the same number of identifiers, so the first one is all there is when the second is missing.
    internal bool IsFor(in EntryKey key) =>
        ReferenceEquals(_keyFamily, key.Family) && key.Second is null
            ? _short.IsWhole
                ? _short.SaysTheSame(key.First)
                : _first == key.First
            : IsForAll(key);

    [MethodImpl(MethodImplOptions.NoInlining)]
    private bool IsForAll(in EntryKey key) => Key.Equals(key);
}
