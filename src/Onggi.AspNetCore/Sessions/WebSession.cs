using System.Diagnostics.CodeAnalysis;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Session;

namespace Onggi.AspNetCore.Sessions;

/// <summary>ASP.NET's own session, which says what becomes of it to the bytes beneath.</summary>
/// <remarks>The middleware commits at the end of every request. ASP.NET's session then reads what nobody has asked for, and blocks for it; here a session that was not used only has its life lengthened, and a new one costs nothing.</remarks>
internal sealed class WebSession : ISession
{
    private readonly DistributedSession _inner;
    private readonly WebSessionBytes _bytes;
    private readonly bool _isNew;
    private bool _isUsed;

    public WebSession(DistributedSession inner, WebSessionBytes bytes, bool isNew)
    {
        (_inner, _bytes, _isNew) = (inner, bytes, isNew);
        bytes.IsEmpty = () => !_inner.Keys.Any();
    }

    public bool IsAvailable => Used.IsAvailable;

    public string Id => Used.Id;

    public IEnumerable<string> Keys => Used.Keys;

    private DistributedSession Used
    {
        get
        {
            _isUsed = true;
            return _inner;
        }
    }

    public Task LoadAsync(CancellationToken cancellationToken = default) => Used.LoadAsync(cancellationToken);

    public Task CommitAsync(CancellationToken cancellationToken = default) =>
        _isUsed ? _inner.CommitAsync(cancellationToken)
        : _isNew ? Task.CompletedTask
        : _bytes.RefreshAsync("", cancellationToken);

    public bool TryGetValue(string key, [NotNullWhen(true)] out byte[]? value) => Used.TryGetValue(key, out value);

    public void Set(string key, byte[] value) => Used.Set(key, value);

    public void Remove(string key) => Used.Remove(key);

    public void Clear()
    {
        Used.Clear();
        _bytes.BeginAnew();
    }
}
