using Onggi.Client;

namespace Onggi.Tests.Client;

public sealed class ConnectionStringTests
{
    private const string Secret = "s3cr3t!";

    [Theory]
    [InlineData("redis.local", "redis.local", 6379)]
    [InlineData("redis.local:6380", "redis.local", 6380)]
    [InlineData("127.0.0.1:1", "127.0.0.1", 1)]
    [InlineData("127.0.0.1:65535", "127.0.0.1", 65535)]
    [InlineData(" 127.0.0.1:6379 , ", "127.0.0.1", 6379)]
    [InlineData("[::1]:6380", "::1", 6380)]
    [InlineData("[::1]", "::1", 6379)]
    [InlineData("::1", "::1", 6379)]
    [InlineData("redis://redis.local", "redis.local", 6379)]
    [InlineData("redis://redis.local:6380", "redis.local", 6380)]
    [InlineData("REDIS://127.0.0.1:6380/", "127.0.0.1", 6380)]
    [InlineData("redis://[::1]:6380", "::1", 6380)]
    public void The_server_is_read(string text, string host, int port)
    {
        var options = RedisClientOptions.Parse(text);

        Assert.Equal((host, port), (options.Host, options.Port));
        Assert.Null(options.Password);
        Assert.Null(options.User);
        Assert.Equal(0, options.Database);
    }

    [Fact]
    public void Every_option_of_the_list_form_is_read()
    {
        var options = RedisClientOptions.Parse(
            "r:1,password=p=w,user=u,name=n,defaultDatabase=3,connectTimeout=1500,commandTimeout=250,keepAlive=7,ssl=false,abortConnect=true"
        );

        Assert.Equal(("p=w", "u", "n", 3), (options.Password, options.User, options.ClientName, options.Database));
        Assert.Equal(TimeSpan.FromMilliseconds(1500), options.ConnectTimeout);
        Assert.Equal(TimeSpan.FromMilliseconds(250), options.CommandTimeout);
        Assert.Equal(TimeSpan.FromSeconds(7), options.KeepAlive);
    }

    [Fact]
    public void Every_part_of_a_URL_is_read()
    {
        var options = RedisClientOptions.Parse("redis://us%40er:p%2Fa%3Ass%40@r:7000/2?name=n&commandTimeout=250");

        Assert.Equal(
            ("us@er", "p/a:ss@", "r", 7000, 2, "n"),
            (options.User, options.Password, options.Host, options.Port, options.Database, options.ClientName)
        );
        Assert.Equal(TimeSpan.FromMilliseconds(250), options.CommandTimeout);
    }

    [Fact]
    public void A_password_alone_is_the_default_users()
    {
        var options = RedisClientOptions.Parse("redis://:pw@r");

        Assert.Equal((null, "pw"), (options.User, options.Password));
    }

    [Theory]
    [InlineData("r,PASSWORD=a,Name=b")]
    [InlineData("r , password = a , name = b")]
    public void Names_of_options_ignore_case_and_spaces(string text)
    {
        var options = RedisClientOptions.Parse(text);

        Assert.Equal(("a", "b"), (options.Password, options.ClientName));
    }

    [Theory]
    [InlineData("")]
    [InlineData("   ")]
    [InlineData("password=x")]
    [InlineData(",")]
    [InlineData(":6379")]
    [InlineData("http://r")]
    public void Without_a_server_both_forms_are_shown(string text) => AssertSays(text, "host:port", "redis://");

    [Theory]
    [InlineData("r:0", "port", "1 to 65535", "'0'")]
    [InlineData("r:65536", "port", "'65536'")]
    [InlineData("r:", "port")]
    [InlineData("r:abc", "port", "'abc'")]
    [InlineData("r:-1", "port")]
    [InlineData("r:6379:", "")]
    [InlineData("redis://r:0", "port")]
    [InlineData("redis://r:99999", "")]
    [InlineData("r,defaultDatabase=-1", "defaultDatabase", "'-1'")]
    [InlineData("r,defaultDatabase=x", "defaultDatabase", "'x'")]
    [InlineData("redis://r/x", "database", "'x'")]
    [InlineData("r,connectTimeout=0", "connectTimeout", "'0'")]
    [InlineData("r,connectTimeout=5s", "connectTimeout", "'5s'")]
    [InlineData("r,commandTimeout=", "commandTimeout")]
    [InlineData("r,keepAlive=0", "keepAlive")]
    [InlineData("r,ssl=yes", "ssl", "true or false", "'yes'")]
    [InlineData("r,abortConnect=1", "abortConnect", "true or false")]
    [InlineData("r,name=a b", "name", "spaces")]
    public void A_wrong_number_or_word_is_shown_with_what_is_allowed(string text, params string[] parts) => AssertSays(text, parts);

    [Theory]
    [InlineData("r,ssl=true")]
    [InlineData("r,SSL=True,sslHost=x,tlsCa=a b.pem,tlsCert=c,tlsKey=d", "x", "a b.pem", "c", "d")]
    [InlineData("r,tlsCa=a", null, "a")]
    [InlineData("rediss://r")]
    [InlineData("rediss://:p@r:1/0?sslHost=x&tlsCa=a%20b.pem", "x", "a b.pem")]
    [InlineData("redis://r?ssl=true")]
    public void TLS_is_read(string text, string? name = null, string? ca = null, string? certificate = null, string? key = null)
    {
        var tls = RedisClientOptions.Parse(text).Tls;

        Assert.NotNull(tls);
        Assert.Equal((name, ca), (tls.ServerName, tls.CertificateAuthorityFile));
        Assert.Equal((certificate, key), (tls.ClientCertificateFile, tls.ClientKeyFile));
    }

    [Theory]
    [InlineData("r")]
    [InlineData("r,ssl=false")]
    [InlineData("redis://r")]
    public void Without_being_asked_for_there_is_no_TLS(string text) => Assert.Null(RedisClientOptions.Parse(text).Tls);

    [Theory]
    [InlineData("r,ssl=false,tlsCa=a", "tlsCa=…", "ssl=false", "Leave out")]
    [InlineData("rediss://r?ssl=false", "rediss://", "ssl=false")]
    [InlineData("r,tlsCa=", "tlsCa has no value", "tlsCa=/")]
    [InlineData("r,sslHost=", "sslHost has no value")]
    public void TLS_that_contradicts_itself_is_refused(string text, params string[] parts) => AssertSays(text, parts);

    [Theory]
    [InlineData("a:1,b:2,c", "a:1", "b:2", "c:6379")]
    [InlineData("a,b,password=x", "a:6379", "b:6379")]
    [InlineData("[::1]:1,::2", "[::1]:1", "[::2]:6379")]
    [InlineData("redis://h1:1,h2", "h1:1", "h2:6379")]
    [InlineData("rediss://u:a%2Cb@h1,[::1]:2/0", "h1:6379", "[::1]:2")]
    public void Several_servers_are_read_and_the_first_is_host_and_port(string text, params string[] servers)
    {
        var options = RedisClientOptions.Parse(text);

        Assert.Equal(servers, options.Servers.Select(server => server.ToString()));
        Assert.Equal(options.Servers[0], new RedisAddress(options.Host, options.Port));
        Assert.Equal(string.Join(',', servers), options.ToString());
    }

    [Theory]
    [InlineData("a:1")]
    [InlineData("a:1,a:1")]
    [InlineData("redis://a:1")]
    public void One_server_is_host_and_port_alone(string text)
    {
        var options = RedisClientOptions.Parse(text);
        options.Port = 7;

        Assert.Empty(options.Servers);
        Assert.Equal("a:7", options.ToString());
    }

    [Theory]
    [InlineData("s1,s2:5,serviceName=mymaster,user=u,password=p,sentinelUser=su,sentinelPassword=sp")]
    [InlineData("serviceName=mymaster,s1,s2:5,user=u,password=p,sentinelUser=su,sentinelPassword=sp")]
    [InlineData("redis+sentinel://u:p@s1,s2:5/mymaster?sentinelUser=su&sentinelPassword=sp")]
    [InlineData("redis://u:p@s1,s2:5?serviceName=mymaster&sentinelUser=su&sentinelPassword=sp")]
    public void Sentinels_are_read_with_their_own_port_and_login(string text)
    {
        var options = RedisClientOptions.Parse(text);

        Assert.Equal(["s1:26379", "s2:5"], options.Servers.Select(server => server.ToString()));
        Assert.Equal(("mymaster", "u", "p"), (options.SentinelService, options.User, options.Password));
        Assert.Equal(("su", "sp"), (options.SentinelUser, options.SentinelPassword));
        Assert.Equal(("s1", 26_379, 0), (options.Host, options.Port, options.Database));
        Assert.Equal("s1:26379,s2:5/mymaster", options.ToString());
    }

    [Fact]
    public void A_Sentinel_URL_may_name_the_database_and_TLS()
    {
        var options = RedisClientOptions.Parse("rediss+sentinel://s1/mymaster/3");

        Assert.Equal(("mymaster", 3), (options.SentinelService, options.Database));
        Assert.Equal(["s1:26379"], options.Servers.Select(server => server.ToString()));
        Assert.NotNull(options.Tls);
    }

    [Theory]
    [InlineData("redis+sentinel://s1:26379", "which master", "/mymaster")]
    [InlineData("redis+sentinel://s1/m/x", "database", "'x'")]
    [InlineData("s1,serviceName=", "serviceName has no value")]
    [InlineData("s1,sentinelPassword=x", "no serviceName", "serviceName=mymaster")]
    [InlineData("r,readFrom=replica", "readFrom", "primary or preferReplica", "'replica'")]
    [InlineData("r,whenFull=block", "whenFull", "reject or wait", "'block'")]
    public void Mistakes_about_many_servers_are_explained(string text, params string[] parts) => AssertSays(text, parts);

    [Fact]
    public void Words_are_read_in_any_case()
    {
        var options = RedisClientOptions.Parse("r,readFrom=PREFERREPLICA,whenFull=Wait");

        Assert.Equal((ReadFrom.PreferReplica, WhenFull.Wait), (options.ReadFrom, options.WhenFull));
        Assert.Equal((ReadFrom.Primary, WhenFull.Reject), (RedisClientOptions.Parse("r").ReadFrom, RedisClientOptions.Parse("r").WhenFull));
    }

    [Theory]
    [InlineData("r,passwort=x", "passwort", "password")]
    [InlineData("r,pass=x", "pass", "'password'")]
    [InlineData("r,timeout=1", "timeout", "connectTimeout")]
    [InlineData("r,max-active=50", "max-active", "Known are")]
    [InlineData("redis://r?db=1", "db", "Known are")]
    public void An_unknown_option_is_named_with_those_there_are(string text, params string[] parts) => AssertSays(text, parts);

    [Fact]
    public void A_URL_with_a_user_and_no_password_is_explained() => AssertSays("redis://u@r", "user", "password", "redis://:password@host");

    [Theory]
    [InlineData($"r:x,password={Secret}")]
    [InlineData($"password={Secret}")]
    [InlineData($"r,password={Secret},nonsense=1")]
    [InlineData($"r,password={Secret},with-a-comma")]
    [InlineData($"redis://:{Secret}@")]
    [InlineData($"redis://:{Secret}@r:99999")]
    [InlineData($"redis://:{Secret}@r/x")]
    [InlineData($"rediss://:{Secret}@r?ssl=false")]
    [InlineData($"http://:{Secret}@r")]
    [InlineData($"user:{Secret}@r:6379")]
    [InlineData($":{Secret}@r")]
    [InlineData($"x:y,password={Secret}://")]
    [InlineData($"r,password=a,{Secret}")]
    [InlineData($"r,sentinelPassword={Secret}")]
    [InlineData($"r,serviceName=m,sentinelPassword=a,{Secret}=b")]
    [InlineData($"redis://:a/{Secret}@r")]
    [InlineData($"redis://:a?{Secret}@r")]
    [InlineData($"redis://:a#{Secret}@r")]
    [InlineData($"redis://:a@b/{Secret}@r")]
    [InlineData($"redis://user:{Secret}")]
    [InlineData($"redis://u:{Secret}@r1,r2:x")]
    [InlineData($"redis+sentinel://u:{Secret}@s1")]
    public void No_message_holds_the_password(string text)
    {
        var error = Assert.Throws<FormatException>(() => RedisClientOptions.Parse(text));

        Assert.DoesNotContain(Secret, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_password_may_look_like_the_beginning_of_a_URL() =>
        Assert.Equal("a://b", RedisClientOptions.Parse("r:6379,password=a://b").Password);

    [Fact]
    public void Options_as_text_hold_no_secret() =>
        Assert.Equal("r:7", RedisClientOptions.Parse($"r:7,password={Secret},user={Secret}").ToString());

    private static void AssertSays(string text, params string[] parts)
    {
        var error = Assert.Throws<FormatException>(() => RedisClientOptions.Parse(text));
        Assert.All(parts, part => Assert.Contains(part, error.Message, StringComparison.Ordinal));
    }
}
