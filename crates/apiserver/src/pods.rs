//! The parts of a pod that are answered by what runs: logs, sessions, ports.
//!
//! Never: asks who may; `dispatch` has done that.

use std::future::Future;
use std::sync::Arc;

use http::Method;
use http::request::Parts;
use rustls::pki_types::CertificateDer;
use weft_control::{Failure, Object, store};

use crate::answer::Answer;
use crate::forward;
use crate::logs;
use crate::nodes::Nodes;
use crate::query::Query;
use crate::serve::Server;
use crate::sessions;
use crate::target::Target;

/// A request about a part of a pod.
pub(crate) struct Asked<'a> {
    pub(crate) server: &'a Server,
    pub(crate) head: &'a Parts,
    certificates: &'a [CertificateDer<'static>],
    target: &'a Target,
    pub(crate) query: &'a Query,
}

impl<'a> Asked<'a> {
    pub(crate) fn new(
        server: &'a Server,
        (certificates, head): (&'a [CertificateDer<'static>], &'a Parts),
        target: &'a Target,
        query: &'a Query,
    ) -> Asked<'a> {
        Asked {
            server,
            head,
            certificates,
            target,
            query,
        }
    }
}

impl Asked<'_> {
    /// Answers, if it is such a part and pods run here.
    pub(crate) async fn answer(&self) -> Option<Result<Answer, Failure>> {
        let nodes = self.server.nodes.as_deref()?;
        let target = self.target;
        if !target.is_of("", "pods") || target.name.is_empty() {
            return None;
        }
        match &*target.subresource {
            "log" if self.head.method != Method::HEAD => {
                let answer = async {
                    let pod = self.pod().await?;
                    let ending = self.ending().await?;
                    logs::answer(nodes, &pod, self.query, ending).await
                };
                Some(answer.await)
            }
            "exec" => Some(match self.pod().await {
                Ok(pod) => sessions::exec(self, &pod).await,
                Err(failure) => Err(failure),
            }),
            "attach" => Some(match self.pod().await {
                Ok(pod) => sessions::attach(self, &pod).await,
                Err(failure) => Err(failure),
            }),
            "portforward" => Some(match self.pod().await {
                Ok(pod) => forward::answer(self, &pod).await,
                Err(failure) => Err(failure),
            }),
            _ => None,
        }
    }

    /// What runs pods.
    ///
    /// # Errors
    /// Nobody does.
    pub(crate) fn nodes(&self) -> Result<Arc<dyn Nodes>, Failure> {
        let nodes = self.server.nodes.clone();
        nodes.ok_or_else(|| Failure::bad_request("pods are not run by this server"))
    }

    async fn pod(&self) -> Result<Object, Failure> {
        let (store, target) = (&self.server.store, self.target);
        let found = store.get(&target.kind, &target.namespace, &target.name);
        store::object_once(&*found.await?)
    }

    /// Completes when the client's proof is void.
    ///
    /// # Errors
    /// It is so already.
    pub(crate) async fn ending(&self) -> Result<impl Future<Output = ()> + Send + use<>, Failure> {
        let gate = &self.server.gate;
        let ending = gate.ending(self.certificates, &self.head.headers).await?;
        Ok(async move {
            match ending {
                Some(ending) => ending.0.await,
                None => std::future::pending().await,
            }
        })
    }
}
