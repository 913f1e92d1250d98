//! What a change is judged on: the records as they stand and, where what is missing is created, the record as it is proposed.

use super::Stage;
use super::fetch;
use super::hydrate::image::Image;
use crate::bundle::profile::route::MissingRecord;
use crate::model::problem::Problem;

impl Stage<'_> {
    /// The images of a change.
    pub(super) async fn change_images(&self) -> Result<Vec<Image>, Problem> {
        let mut images = self.fetcher().before_images(self.mapped).await?;
        if self.mapped.route.missing == MissingRecord::Create
            && let Some(record_type) = self.mapped.record_type
        {
            let limits = &self.limits.answer.json;
            images.push(fetch::proposed(self.mapped, record_type, &self.serving.snapshot, limits)?);
        }
        Ok(images)
    }
}
