//! Finds a table's columns in files of any age by field id: a file may lack columns that came later, or hold one
//! under an older name, or hold a dropped one under a name that is used again.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{Field, Schema as ArrowSchema, SchemaRef as ArrowSchemaRef};
use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr_adapter::{
    DefaultPhysicalExprAdapterFactory, PhysicalExprAdapter, PhysicalExprAdapterFactory,
};
use datafusion::physical_plan::PhysicalExpr;
use parquet::arrow::PARQUET_FIELD_ID_META_KEY;

/// Makes the adapter of one file.
#[derive(Debug)]
pub(crate) struct ByFieldId {
    /// Name in the table by field id.
    names: HashMap<String, String>,
}

impl ByFieldId {
    pub fn new(file_schema: &ArrowSchema) -> ByFieldId {
        let name = |field: &Arc<Field>| Some((field_id(field)?.clone(), field.name().clone()));
        ByFieldId { names: file_schema.fields().iter().filter_map(name).collect() }
    }

    /// The file's schema under the table's names; none when they are the same.
    fn renamed(&self, file: &ArrowSchema) -> Option<ArrowSchema> {
        let mut changed = false;
        let fields: Vec<Field> = file
            .fields()
            .iter()
            .enumerate()
            .map(|(index, field)| {
                // A file without ids was imported: there, names are all we have.
                let Some(id) = field_id(field) else { return field.as_ref().clone() };
                match self.names.get(id) {
                    Some(name) if name == field.name() => field.as_ref().clone(),
                    Some(name) => {
                        changed = true;
                        field.as_ref().clone().with_name(name)
                    }
                    None => {
                        changed = true;
                        field.as_ref().clone().with_name(format!("dropped column {index}"))
                    }
                }
            })
            .collect();
        changed.then(|| ArrowSchema::new(fields))
    }
}

fn field_id(field: &Field) -> Option<&String> {
    field.metadata().get(PARQUET_FIELD_ID_META_KEY)
}

impl PhysicalExprAdapterFactory for ByFieldId {
    fn create(&self, table: ArrowSchemaRef, file: ArrowSchemaRef) -> Result<Arc<dyn PhysicalExprAdapter>> {
        match self.renamed(&file) {
            None => DefaultPhysicalExprAdapterFactory.create(table, file),
            Some(renamed) => {
                let inner = DefaultPhysicalExprAdapterFactory.create(table, Arc::new(renamed))?;
                Ok(Arc::new(Renaming { inner, file }))
            }
        }
    }
}

/// Adapts to the file under the table's names, then puts the file's own names back.
#[derive(Debug)]
struct Renaming {
    inner: Arc<dyn PhysicalExprAdapter>,
    file: ArrowSchemaRef,
}

impl PhysicalExprAdapter for Renaming {
    fn rewrite(&self, expr: Arc<dyn PhysicalExpr>) -> Result<Arc<dyn PhysicalExpr>> {
        let adapted = self.inner.rewrite(expr)?;
        adapted
            .transform_up(|expr| {
                let Some(column) = expr.as_any().downcast_ref::<Column>() else { return Ok(Transformed::no(expr)) };
                let own = self.file.field(column.index()).name();
                if own == column.name() {
                    return Ok(Transformed::no(expr));
                }
                Ok(Transformed::yes(Arc::new(Column::new(own, column.index()))))
            })
            .data()
    }
}
